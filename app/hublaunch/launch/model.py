"""The values of a launch: its request, attempts, steps, and the events in its log."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

from hublaunch.launch.caller import Caller
from hublaunch.launch.errors import Displaced
from hublaunch.launch.problem import Problem
from hublaunch.launch.rules.estimate import Estimate
from hublaunch.launch.rules.image import ImageReference
from hublaunch.launch.rules.raw_event import RawEvent
from hublaunch.launch.rules.repo import folder_of, repo_name

DEFAULT_SERVER = ""
"""JupyterHub's name for a user's default server."""


class Status(StrEnum):
    """The status of a launch. The phase of an event is one of these, but never `stopped`."""

    WAITING = "waiting"  # queued: accepted, or requeued after the Hub's 429
    LAUNCHING = "launching"  # an attempt is in progress at the Hub
    READY = "ready"  # the server itself has answered
    FAILED = "failed"  # no further attempt can help
    CANCELLED = "cancelled"  # somebody cancelled it before it was ready
    STOPPED = "stopped"  # was ready; its server is gone

    @property
    def ends_stream(self) -> bool:
        """Whether an event of this phase is the last one of its launch."""
        return self in (Status.READY, Status.FAILED, Status.CANCELLED)

    def may_become(self, following: "Status") -> bool:
        """Return whether a launch of this status may change to `following`."""
        return following in _FOLLOWING[self]


_FOLLOWING: Mapping[Status, frozenset[Status]] = {
    Status.WAITING: frozenset({Status.WAITING, Status.LAUNCHING, Status.FAILED, Status.CANCELLED}),
    Status.LAUNCHING: frozenset({Status.LAUNCHING, Status.WAITING, Status.READY, Status.FAILED, Status.CANCELLED}),
    Status.READY: frozenset({Status.STOPPED}),
    Status.FAILED: frozenset(),
    Status.CANCELLED: frozenset(),
    Status.STOPPED: frozenset(),
}


class Stage(StrEnum):
    """What a launch in progress waits for, in terms for people. Later releases may add stages."""

    QUEUED = "queued"  # a turn in the queue
    SCHEDULING = "scheduling"  # a machine for the server
    PULLING = "pulling"  # an image
    STARTING = "starting"  # the server; also if nothing is known
    OPENING = "opening"  # the server's first answer, as the Hub calls the server ready

    @classmethod
    def of(cls, phase: Status) -> "Stage | None":
        """Return the stage of an event of this phase unless more is known; None once the launch has ended."""
        return {Status.WAITING: cls.QUEUED, Status.LAUNCHING: cls.STARTING}.get(phase)


class StallReason(StrEnum):
    """Why the Hub says nothing new about a launch. Later releases may add reasons."""

    ADDING_MACHINE = "adding_machine"  # the cluster is adding a machine
    NO_MACHINE = "no_machine"  # no machine has room for the server
    BATCH_QUEUE = "batch_queue"  # the server waits in the queue of a batch system
    STORAGE = "storage"  # the server's storage is not ready
    PULL_FAILED = "pull_failed"  # a pull has failed, and the cluster will try again
    RESTARTING = "restarting"  # the server has ended, and the cluster is starting it again


class Content(StrEnum):
    """The program that fetches the files of a launch's repository."""

    NBGITPULLER = "nbgitpuller"  # in the server, when the visitor opens it
    SPAWNER = "spawner"  # at the Hub's side, before the server starts


@dataclass(frozen=True, kw_only=True)
class LaunchRequest:
    """A request for a launch, checked by `rules/request.py`. Its image and repository are parsed once, when needed."""

    image: str
    """`""` until the environment has been looked up in the catalogue (`rules/catalogue.py`)."""
    repo_url: str = ""
    """The repository, used only as a label in names, logs and the spawner's options: hublaunch never fetches it. `""`
    without a repository."""
    ref: str = ""
    """The branch, tag or commit of the repository; `""` is its default branch. Checked by `ref.py`."""
    extra_args: Mapping[str, Any] = field(default_factory=dict)
    """More `user_options` for the spawner, under keys that the settings allow."""
    username: str = ""
    """The Hub user whose account is used, if the caller may name one; `""` lets hublaunch choose."""
    server_name: str = ""
    """The named server to start on an existing account; `""` lets hublaunch choose."""
    path: str = ""
    """The path that `open_url` opens. It is relative to the server's root, or with `content` to the repository; `""` is
    the root of either. Checked by `path.py`."""
    environment: str = ""
    """The environment of the catalogue that the image comes from; `""` if the request named the image itself."""
    size: str = ""
    """The size of the server; `""` if the spawner decides."""
    size_options: Mapping[str, Any] = field(default_factory=dict)
    """The size's `user_options`, which no `extra_args` replace."""
    content: Content | None = None
    """The program that fetches the repository; None if its URL is only a label."""
    opens: str = ""
    """With `content`: the interface of the environment that shows the repository, such as `lab`."""

    @property
    def user_options(self) -> Mapping[str, Any]:
        """The `user_options` that the spawner gets. With `content_dir` it fetches the repository into this folder."""
        named = {"image": self.image, "repo_url": self.repo_url, **({"ref": self.ref} if self.ref else {})}
        if self.content is Content.SPAWNER:
            named["content_dir"] = self.folder
        return {**self.extra_args, **self.size_options, **named}

    @cached_property
    def image_reference(self) -> ImageReference:
        """The image by its full name. Raises ValueError if `image` is invalid, which checked requests rule out."""
        return ImageReference.parse(self.image)

    @cached_property
    def repo_name(self) -> str:
        """The repository as `host/path`, the same for all spellings of its URL; `""` without a repository."""
        return repo_name(self.repo_url)

    @property
    def folder(self) -> str:
        """The folder for the repository's files, below the home directory of the server."""
        return folder_of(self.repo_name)


@dataclass(frozen=True, kw_only=True, slots=True)
class FailedSpawn:
    """A failed spawn that JupyterHub counts: it exits after `consecutive_failure_limit` of them in a row."""

    cause: str | None
    """The fault of the image, in words for every caller; None if the image did not cause the failure."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One attempt of a launch at the Hub. It is stored before its first call, so the names survive a crash."""

    launch_id: str
    number: int
    """From 1."""
    username: str
    server_name: str = DEFAULT_SERVER
    creates_user: bool = True
    """Whether this attempt creates the user, and so may delete the user."""
    server_started_at: datetime | None = None
    """When the server of a ready launch was started, by the Hub's clock. Only set on an existing account, as its user
    may start another server under the same name."""

    @property
    def token_note(self) -> str:
        """The note that identifies this attempt's token at the Hub."""
        return f"hublaunch:{self.launch_id}:{self.number}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A step of a launch that is not stored yet."""

    phase: Status
    progress: int | None
    """0 to 100; None leaves it unchanged."""
    message: str
    stage: Stage | None = None
    """With `launching`; None if it is not known."""
    raw_event: RawEvent | None = field(default=None, repr=False)
    """The event of Kubernetes that the message is about, if there is one."""
    stalled_since: datetime | None = None
    """Set if the step says that the launch is stalled: when the Hub last said something new."""
    stalled_reason: StallReason | None = None
    """With `stalled_since`, the reason if it is known."""
    url: str | None = None
    """With `ready`: the server's root, absolute, ending in `/`, without a query."""
    token: str | None = field(default=None, repr=False)
    """With `ready`: the visitor's token, in clear text."""
    token_expires_at: datetime | None = None
    content_fault: str | None = None
    """With `ready`: why the repository's files are not in the server, in words for its visitor."""
    server_started_at: datetime | None = None
    """With `ready`: see `Attempt.server_started_at`."""
    session_s: float | None = None
    """With `ready`: how many seconds the server may run; None means no limit."""
    problem: Problem | None = None
    """With `failed`."""
    failed_spawn: FailedSpawn | None = None
    """With `failed` or `cancelled`: the failure that the Hub counts, if it counts one."""
    hub_event: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)
    """The Hub's event that this step repeats, as the Hub sent it; None if the words are hublaunch's own."""

    @property
    def is_pull(self) -> bool:
        """Whether it says that the server's image is being pulled, rather than that of a container beside it."""
        of_server = self.raw_event.is_of_server if self.raw_event else self.stalled_since is None
        return self.stage is Stage.PULLING and of_server


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, weakref_slot=True)
class Event:
    """A stored step. Events are compared by identity, so that their rendered form can be cached."""

    launch_id: str
    seq: int
    """1, 2, 3, … within the launch; the SSE `id`."""
    at: datetime
    attempt: int
    phase: Status
    progress: int
    message: str
    stage: Stage | None = None
    """None once the launch has ended, and in events of an earlier release."""
    raw_event: RawEvent | None = field(default=None, repr=False)
    """See `Step.raw_event`. Only causes and reasons are read from it."""
    stalled_since: datetime | None = None
    """See `Step.stalled_since`. The launch is stalled while this event is its last."""
    stalled_reason: StallReason | None = None
    url: str | None = None
    sealed_token: bytes | None = field(default=None, repr=False)
    """The encrypted token; only the service's secret key opens it."""
    token_expires_at: datetime | None = None
    content_fault: str | None = None
    """See `Step.content_fault`."""
    problem: Problem | None = None
    estimate: Estimate | None = None
    """With `launching`: the estimate that holds from this event on; None if this event changes nothing."""

    @property
    def is_displacement(self) -> bool:
        """Whether this event ends the launch because it made room for another caller's."""
        return self.problem is not None and self.problem.code == Displaced.code


@dataclass(frozen=True, kw_only=True, slots=True)
class Launch:
    """One accepted request for a ready server, in its current state."""

    id: str
    """A ULID: public, safe to log, and starting with the time of acceptance."""
    caller: Caller
    request: LaunchRequest
    status: Status
    created_at: datetime
    deadline_at: datetime
    """When `launch_timeout` runs out; while the launch is queued, when LAUNCHER_MAX_WAIT_S runs out."""
    attempt: Attempt
    """The latest attempt."""
    last_event: Event
    fence: int = 1
    """Increases with each change of owner. A write with an older number is refused: LeaseLost."""
    launching_at: datetime | None = None
    """When the Hub was first asked for anything."""
    admitted_at: datetime | None = None
    """When it was last admitted; None while it is queued."""
    estimate: Estimate | None = None
    """When it will probably be ready, as estimated since it was last admitted; None while it is queued."""
    time_left_s: float = 0
    """Seconds left of `launch_timeout` while it is queued."""
    cancel_requested_at: datetime | None = None
    ended_at: datetime | None = None
    """When it became ready, failed or was cancelled."""
    will_end_at: datetime | None = None
    """When the server of a ready launch will be stopped, or should have been; None means never."""
    stopped_at: datetime | None = None
    stopped_by: str | None = None
    """`caller`, `hub`, `session_end`, `operator` (set before the server stops), or a value that a later release adds.
    For members of warm pools also `claim` (its server is another launch's now) and `pool` (it was retired)."""
    cleaned_at: datetime | None = None
    """When everything that its latest attempt created at the Hub was deleted."""
    image_digest: str | None = None
    """The digest that the registry had for the image before the Hub was asked; None if that is unknown."""
    is_pinned: bool = False
    """Whether the spawner gets the image by `image_digest` instead of its tag."""
    pool: str | None = None
    """The key of the warm pool that it is a member of, or could have a server from (`rules/pool.py`)."""
    pool_miss: str | None = None
    """Why it has no server from that pool; None for a member, and with a server from there."""
    claimed_from: str | None = None
    """The id of the member whose server it claimed; None if its server is started for it."""

    @property
    def is_member(self) -> bool:
        """Whether it is a member of a warm pool: a server that is started before anybody asks for it."""
        return self.caller.kind == "pool"

    @property
    def is_claim(self) -> bool:
        """Whether it is in progress with a server that it claimed. It was never admitted, and asks for no spawn."""
        return self.claimed_from is not None and self.status is Status.LAUNCHING

    @property
    def spawned(self) -> LaunchRequest:
        """The request as the spawner gets it: with the digest in place of the tag if the launch is pinned."""
        if not self.is_pinned:
            return self.request
        pinned = replace(self.request.image_reference, tag=None, digest=self.image_digest)
        return replace(self.request, image=str(pinned))

    @property
    def has_asked_hub(self) -> bool:
        """Whether the latest attempt may have sent requests to the Hub. This is stored before the first request."""
        return self.launching_at is not None and self.last_event.attempt == self.attempt.number

    @property
    def has_outlived_session(self) -> bool:
        """Whether its server is to be stopped because its time was over, and not because somebody cancelled earlier."""
        stopping_since, end = self.cancel_requested_at, self.will_end_at
        return stopping_since is not None and end is not None and stopping_since >= end

    @property
    def remaining_s(self) -> float:
        """Seconds left of `launch_timeout`, which pauses while the launch is queued."""
        if self.admitted_at is None:
            return self.time_left_s
        return max(0.0, (self.deadline_at - datetime.now(UTC)).total_seconds())

    @property
    def is_displaced(self) -> bool:
        """Whether it made room for another caller's launch, in the transaction that accepted the other launch."""
        return self.last_event.is_displacement

    @property
    def is_in_progress(self) -> bool:
        """Whether it is queued or at the Hub."""
        return self.status in (Status.WAITING, Status.LAUNCHING)
