"""Launches and their events as the service sends them."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import datetime
from types import GenericAlias
from typing import Any, Self

_ENDINGS = ("ready", "failed", "cancelled")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Shown:
    """A dataclass read from JSON by the names and types of its fields."""

    shown: Mapping[str, Any] = field(repr=False, compare=False)
    """The JSON as it arrived, with any fields that a later release adds."""

    @classmethod
    def of(cls, shown: Any) -> Self:
        """Read an object from parsed JSON. Raises a ValueError if a field is missing or has the wrong type."""
        if not isinstance(shown, Mapping):
            raise ValueError("is not a JSON object")  # noqa: TRY004 - the input is wrong, not the call
        values: dict[str, Any] = {"shown": shown}
        for one in fields(cls):
            if one.name in shown:
                values[one.name] = _value(one.name, one.type, shown[one.name])
            elif one.name != "shown" and one.default is MISSING and one.default_factory is MISSING:
                raise ValueError(f"has no {one.name}")
        return cls(**values)


def _value(name: str, kind: Any, shown: Any) -> Any:
    """Convert a value to the type of its field. Raises a ValueError."""
    value = shown
    if shown is not None and kind == Problem | None:
        value = Problem.of(shown)
    elif shown is not None and kind == ExpectedBasis | None:
        value = ExpectedBasis.of(shown)
    elif isinstance(shown, int) and kind is float:
        value = float(shown)
    elif isinstance(shown, str) and kind in (datetime, datetime | None):
        value = datetime.fromisoformat(shown)
    elif isinstance(shown, list) and kind in (list[Environment], list[Size]):
        value = [kind.__args__[0].of(one) for one in shown]
    if isinstance(kind, GenericAlias):
        kind = kind.__origin__
    if not isinstance(value, kind):
        raise ValueError(f"has a {name} of the wrong type")  # noqa: TRY004 - as above
    return value


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem(_Shown):
    """Why a request was refused or a launch failed (RFC 9457)."""

    code: str
    """Stable and machine-readable."""
    title: str
    detail: str = ""
    """`""` for readers without the launch's secret."""
    advice: str = ""
    """Advice for you, the caller."""
    operator_advice: str = ""
    """Advice for the operator; `""` unless the caller is an admin."""
    errors: list[dict[str, str]] = field(default_factory=list)
    """For an invalid request: the `field` and `reason` of each error."""

    def __str__(self) -> str:
        for_operator = f"For operators: {self.operator_advice}" if self.operator_advice else ""
        sentences = (self.title, self.detail, self.advice, for_operator)
        return " ".join(
            sentence if sentence.endswith((".", "?")) else f"{sentence}." for sentence in sentences if sentence
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpectedBasis(_Shown):
    """How long the last launches of the image took from their admission until they were ready."""

    count: int
    """How many launches, 5 to 50."""
    p50_s: float
    """Half of them took at most this many seconds."""
    p90_s: float
    """Nine of ten took at most this many seconds."""
    of_pulls: bool
    """Whether only launches that pulled the image are counted, because this launch pulls it too."""
    passed_s: float
    """Seconds since this launch was admitted. Above `p90_s`, it takes longer than usual."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Launch(_Shown):
    """The current state of a launch. The fields from `will_end_at` on are None for readers who may not see them."""

    id: str
    status: str
    """`waiting`, `launching`, `ready`, `failed`, `cancelled` or `stopped`."""
    phase: str
    """The phase of the last event; never `stopped`."""
    stage: str | None = None
    """The stage of the last event, as in `LaunchEvent.stage`."""
    progress: int
    """0 to 100."""
    message: str
    attempt: int
    """From 1."""
    warm: bool = False
    """Whether the launch got a warm server, which was running before the launch claimed it."""
    created_at: datetime
    ended_at: datetime | None = None
    """When it became ready, failed or was cancelled."""
    stopped_at: datetime | None = None
    stopped_by: str | None = None
    """`caller`, `hub`, `session_end`, `operator`, or a value that a later release adds."""
    stalled_since: datetime | None = None
    """When the Hub last said something new about the launch, if that is unusually long ago; otherwise None."""
    stalled_reason: str | None = None
    """With `stalled_since`, the reason if it is known: see docs/events.md. Later releases may add reasons."""
    expected_ready_at: datetime | None = None
    """When it will probably be ready. None in the queue, once it takes longer than usual, and if nothing is known."""
    expected_basis: ExpectedBasis | None = None
    """What the estimate is based on. None if there is no estimate."""
    problem: Problem | None = None
    will_end_at: datetime | None = None
    """When ready: when the server will be stopped; None if no limit is set."""
    extendable_until: datetime | None = None
    """When ready: the latest `will_end_at` that `extend` can reach; None if the server cannot be extended."""
    is_temporary: bool | None = None
    """Whether the user of the server, and usually their files, are deleted once it has stopped."""
    image: str | None = None
    environment: str | None = None
    """The environment of the catalogue that the launch was requested for."""
    size: str | None = None
    """The size of the server; None if the spawner decides."""
    invitation: str | None = None
    """The name of the invitation that it was launched with."""
    image_digest: str | None = None
    """The digest that the registry had for the image before JupyterHub was asked, if it is known."""
    repo_url: str | None = None
    ref: str | None = None
    """The branch, tag or commit that was asked for; `""` is the default branch."""
    path: str | None = None
    username: str | None = None
    server_name: str | None = None
    url: str | None = None
    """When ready: the server's root, absolute, ending in `/`."""
    open_url: str | None = field(default=None, repr=False)
    """When ready: the address to open in a browser, usually with the token in it."""
    token: str | None = field(default=None, repr=False)
    token_expires_at: datetime | None = None
    content_fault: str | None = None
    """When ready: why the files of the repository are not in the server; None if they are, or were not wanted."""
    secret: str | None = field(default=None, repr=False)
    """Set by `launch` only: it gives access to the private fields, and lets its holder cancel the launch. The client
    keeps it too."""

    @property
    def has_ended(self) -> bool:
        """Whether it became ready, failed or was cancelled, so that no more events will come."""
        return self.phase in _ENDINGS


@dataclass(frozen=True, kw_only=True, slots=True)
class LaunchEvent(_Shown):
    """A step of a launch."""

    launch_id: str
    seq: int
    """The number of the event, from 1, without gaps."""
    at: datetime
    phase: str
    """`waiting`, `launching`, `ready`, `failed` or `cancelled`; the last three end the launch's events."""
    stage: str | None = None
    """`queued`, `scheduling`, `pulling`, `starting`, `opening`, or a stage that a later release adds; None in the last
    event."""
    message: str
    progress: int
    """0 to 100."""
    attempt: int
    expected_ready_at: datetime | None = None
    """When it will probably be ready: in the first event after its admission, and at the first pull of its image."""
    expected_basis: ExpectedBasis | None = None
    """What the estimate is based on, in the same events. None if there is no estimate."""
    problem: Problem | None = None
    """Only with `failed`."""
    image: str | None = None
    image_bytes: int | None = None
    """The size of the image, once it has been pulled, if the spawner reports it."""
    repo_url: str | None = None
    url: str | None = None
    """With `ready`: the server's root, absolute, ending in `/`."""
    open_url: str | None = field(default=None, repr=False)
    """With `ready`: the address to open in a browser, usually with the token in it."""
    token: str | None = field(default=None, repr=False)
    token_expires_at: datetime | None = None
    stalled_since: datetime | None = None
    """Set if the event says that the launch is stalled: when the Hub last said something new."""
    stalled_reason: str | None = None
    """As in `Launch.stalled_reason`."""
    content_fault: str | None = None
    """When ready: why the files of the repository are not in the server; None if they are, or were not wanted."""

    @property
    def is_last(self) -> bool:
        return self.phase in _ENDINGS


@dataclass(frozen=True, kw_only=True, slots=True)
class Position(_Shown):
    """The position of a launch in the queue, sent about once a second and not stored as an event."""

    position: int
    """1 is next. 0 is sent once, when the launch is admitted."""
    queue_size: int
    eta_s: int | None = None
    """Estimated seconds until the launch is admitted; None without recent launches to judge by."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Session(_Shown):
    """The caller, as the service knows them."""

    kind: str
    """`anonymous`, `hub`, `key`, `invitation` or `admin_link`."""
    name: str | None = None
    is_admin: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Size(_Shown):
    """A size of server that the caller may have."""

    name: str
    title: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment(_Shown):
    """An environment that the caller may launch by its name."""

    name: str
    title: str
    description: str = ""
    image: str
    content: str = "none"
    """How the files of `repo_url` get into the server: by `nbgitpuller`, by the `spawner`, or not at all (`none`)."""
    open: str = ""
    """The path that opens if a launch has none."""
    sizes: list[Size] = field(default_factory=list)
    """The first is the default. Empty: the spawner decides."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Catalogue(_Shown):
    """What the caller may launch."""

    environments: list[Environment] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    """The patterns of the images that the caller may launch."""
