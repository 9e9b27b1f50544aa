"""What a launch is: its request, its attempts, its steps, and the events that its log keeps of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal

from hublaunch.launch.errors import Displaced, LaunchError
from hublaunch.launch.rules.image import ImageReference
from hublaunch.launch.rules.repo import repo_name

DEFAULT_SERVER = ""
"""JupyterHub's name for a user's default server."""


class Status(StrEnum):
    """Where a launch stands. The phase of an event is one of these, never `stopped`."""

    WAITING = "waiting"  # accepted; nothing asked of the Hub yet, or back in the queue at the Hub's 429
    LAUNCHING = "launching"  # an attempt is under way at the Hub
    READY = "ready"  # the server itself has answered
    FAILED = "failed"  # no further attempt can help
    CANCELLED = "cancelled"  # somebody asked for that before it was ready
    STOPPED = "stopped"  # was ready; its server is gone since

    @property
    def ends_stream(self) -> bool:
        """Whether an event of this phase is the last of its launch."""
        return self in (Status.READY, Status.FAILED, Status.CANCELLED)

    def may_become(self, following: "Status") -> bool:
        return following in _FOLLOWING[self]


_FOLLOWING: Mapping[Status, frozenset[Status]] = {
    Status.WAITING: frozenset({Status.WAITING, Status.LAUNCHING, Status.FAILED, Status.CANCELLED}),
    Status.LAUNCHING: frozenset({Status.LAUNCHING, Status.WAITING, Status.READY, Status.FAILED, Status.CANCELLED}),
    Status.READY: frozenset({Status.STOPPED}),
    Status.FAILED: frozenset(),
    Status.CANCELLED: frozenset(),
    Status.STOPPED: frozenset(),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Whose request this is, and what they may do. Kind and key say who; only these are stored and compared."""

    kind: Literal["anonymous", "hub", "key"]
    key: str
    """The network address of an anonymous caller, the name of a Hub user, the name of an API key."""
    groups: frozenset[str] = field(default=frozenset(), compare=False)
    """The groups that a Hub user is in at the Hub."""
    allowed_images: tuple[str, ...] | None = field(default=None, compare=False)
    """The patterns of an API key that has its own; None means the service's."""
    max_active: int | None = field(default=None, compare=False)
    """Launches that may be under way or ready at once; None is no limit."""
    may_name_user: bool = field(default=False, compare=False)
    """Whether a request may name the Hub user whose account it is for."""
    is_admin: bool = field(default=False, compare=False)
    """Whether they see and cancel everybody's launches."""


@dataclass(frozen=True, kw_only=True)
class LaunchRequest:
    """What a caller asks for, checked by `rules/request.py`. Its image and repository are parsed once, when needed."""

    image: str
    repo_url: str = ""
    """A label for names, logs and the spawner; never fetched. `""` if there is none."""
    extra_args: Mapping[str, Any] = field(default_factory=dict)
    """Further `user_options`, by keys that the settings allow."""
    username: str = ""
    """The Hub user whose account it is for, where the caller may name one; `""` leaves that to hublaunch."""
    server_name: str = ""
    """The named server to make on an existing account; `""` leaves that to hublaunch."""
    path: str = ""
    """What to open in the server, relative to its root; `""` is the root. Checked by `path.py`."""

    @cached_property
    def image_reference(self) -> ImageReference:
        """The image by its full name; ValueError if `image` is not a reference, which a checked request rules out."""
        return ImageReference.parse(self.image)

    @cached_property
    def repo_name(self) -> str:
        """The repository as `host/path`, the same for all spellings of its URL; `""` without a repository."""
        return repo_name(self.repo_url)


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Why a request was refused or a launch failed, for people and programs (RFC 9457)."""

    code: str
    """Stable and machine-readable; the `type` of the problem is made from it."""
    title: str
    detail: str
    advice: str
    """What the caller can do next."""
    operator_advice: str = ""
    """What the operator can do. Only admins and the log get it."""

    @classmethod
    def of(cls, error: LaunchError) -> "Problem":
        return cls(
            code=error.code,
            title=error.title,
            detail=str(error),
            advice=error.advice,
            operator_advice=error.operator_advice,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class FailedSpawn:
    """A failure that JupyterHub counts: after so many in a row it exits (`consecutive_failure_limit`)."""

    cause: str | None
    """What was wrong with the image itself, in words for everybody; None if it was not the image's fault."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One try of a launch at the Hub. Stored before the first call, so that a crash leaves nothing unnamed."""

    launch_id: str
    number: int
    """From 1."""
    username: str
    server_name: str = DEFAULT_SERVER
    creates_user: bool = True
    """Whether this attempt creates the user, and so may delete it."""
    server_started_at: datetime | None = None
    """When the server of a ready launch was started, by the Hub's clock; only for a user who was there before, who may
    start another one under the same name."""

    @property
    def token_note(self) -> str:
        """The note by which a token of this attempt is found again at the Hub."""
        return f"hublaunch:{self.launch_id}:{self.number}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """Something that happened in a launch, not yet stored."""

    phase: Status
    progress: int | None
    """0 to 100; None leaves it as it was."""
    message: str
    url: str | None = None
    """With `ready`: the server's root, absolute, ending in `/`, without a query."""
    token: str | None = field(default=None, repr=False)
    """With `ready`: what lets the visitor in, in clear."""
    token_expires_at: datetime | None = None
    server_started_at: datetime | None = None
    """With `ready`: what the attempt is to remember of its server."""
    problem: Problem | None = None
    """With `failed`."""
    failed_spawn: FailedSpawn | None = None
    """With `failed` or `cancelled`, if the Hub counts it."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, weakref_slot=True)
class Event:
    """A stored step. Two events are the same only if they are one object, so what is rendered of one can be kept."""

    launch_id: str
    seq: int
    """Dense within the launch, from 1; the SSE `id`."""
    at: datetime
    attempt: int
    phase: Status
    progress: int
    message: str
    url: str | None = None
    sealed_token: bytes | None = field(default=None, repr=False)
    """The token as the log keeps it, readable only with the service's secret key."""
    token_expires_at: datetime | None = None
    problem: Problem | None = None

    @property
    def is_displacement(self) -> bool:
        """Whether the launch ends with it because it made room for another caller's."""
        return self.problem is not None and self.problem.code == Displaced.code


@dataclass(frozen=True, kw_only=True, slots=True)
class Launch:
    """One accepted request for a ready server, as its log stands."""

    id: str
    """A ULID: public, loggable, and its first part is the time of acceptance."""
    caller: Caller
    request: LaunchRequest
    status: Status
    created_at: datetime
    deadline_at: datetime
    """When `launch_timeout` is used up; while it waits in the queue, when it has waited for too long."""
    attempt: Attempt
    """The latest attempt."""
    last_event: Event
    fence: int = 1
    """How often the launch has changed hands. Who writes to it with an older number is refused: LeaseLost."""
    launching_at: datetime | None = None
    """When the Hub was first asked."""
    admitted_at: datetime | None = None
    """When it was last admitted; None while it waits in the queue."""
    time_left_s: float = 0
    """What is left of `launch_timeout` while it waits in the queue."""
    cancel_requested_at: datetime | None = None
    ended_at: datetime | None = None
    """When it was ready, failed or cancelled."""
    stopped_at: datetime | None = None
    stopped_by: str | None = None
    cleaned_at: datetime | None = None
    """When everything that its latest attempt created at the Hub was gone again."""

    @property
    def has_asked_hub(self) -> bool:
        """Whether the latest attempt may have asked the Hub for anything: that is stored before its first request."""
        return self.launching_at is not None and self.last_event.attempt == self.attempt.number

    @property
    def remaining_s(self) -> float:
        """What is left of `launch_timeout`, which does not run while the launch waits in the queue."""
        if self.admitted_at is None:
            return self.time_left_s
        return max(0.0, (self.deadline_at - datetime.now(UTC)).total_seconds())

    @property
    def is_displaced(self) -> bool:
        """Whether it made room for another caller's launch, which no task of its own has stored."""
        return self.last_event.is_displacement

    @property
    def is_under_way(self) -> bool:
        return self.status in (Status.WAITING, Status.LAUNCHING)
