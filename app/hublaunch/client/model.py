"""Launches and their events as the service shows them. Fields that it may add later are in `shown` alone."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import datetime
from types import GenericAlias
from typing import Any, Self

_ENDINGS = ("ready", "failed", "cancelled")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Shown:
    """Made from JSON by the names and types of its fields."""

    shown: Mapping[str, Any] = field(repr=False, compare=False)
    """The JSON as it came."""

    @classmethod
    def of(cls, shown: Any) -> Self:
        """ValueError if a field that must be there is missing, or is not what it must be."""
        if not isinstance(shown, Mapping):
            raise ValueError("is no JSON object")  # noqa: TRY004 - what arrived is wrong, not how this was called
        values: dict[str, Any] = {"shown": shown}
        for one in fields(cls):
            if one.name in shown:
                values[one.name] = _value(one.name, one.type, shown[one.name])
            elif one.name != "shown" and one.default is MISSING and one.default_factory is MISSING:
                raise ValueError(f"has no {one.name}")
        return cls(**values)


def _value(name: str, kind: Any, shown: Any) -> Any:
    """A value of this kind; ValueError if what arrived cannot be one."""
    value = shown
    if shown is not None and kind == Problem | None:
        value = Problem.of(shown)
    elif isinstance(shown, str) and kind in (datetime, datetime | None):
        value = datetime.fromisoformat(shown)
    if isinstance(kind, GenericAlias):
        kind = kind.__origin__
    if not isinstance(value, kind):
        raise ValueError(f"has a {name} of the wrong kind")  # noqa: TRY004 - as above
    return value


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem(_Shown):
    """Why something was refused or failed (RFC 9457)."""

    code: str
    """Stable and machine-readable."""
    title: str
    detail: str = ""
    """`""` for who may not see the launch's private fields."""
    advice: str = ""
    """What you can do next."""
    operator_advice: str = ""
    """What the operator of the service can do; `""` unless the caller is an admin."""
    errors: list[dict[str, str]] = field(default_factory=list)
    """For a request that is not valid: each `field`, and the `reason`."""

    def __str__(self) -> str:
        for_operator = f"For operators: {self.operator_advice}" if self.operator_advice else ""
        sentences = (self.title, self.detail, self.advice, for_operator)
        return " ".join(sentence if sentence.endswith(".") else f"{sentence}." for sentence in sentences if sentence)


@dataclass(frozen=True, kw_only=True, slots=True)
class Launch(_Shown):
    """A launch as it stands. The fields from `image` on are None for who lacks its secret."""

    id: str
    status: str
    """`waiting`, `launching`, `ready`, `failed`, `cancelled` or `stopped`."""
    phase: str
    """The status as of the last event; never `stopped`."""
    progress: int
    """0 to 100."""
    message: str
    attempt: int
    """From 1."""
    created_at: datetime
    ended_at: datetime | None = None
    """When it was ready, failed or cancelled."""
    stopped_at: datetime | None = None
    stopped_by: str | None = None
    problem: Problem | None = None
    image: str | None = None
    repo_url: str | None = None
    path: str | None = None
    username: str | None = None
    server_name: str | None = None
    url: str | None = None
    """When ready: the server's root, absolute, ending in `/`."""
    open_url: str | None = field(default=None, repr=False)
    """When ready: what to open in a browser; mostly with the token in it."""
    token: str | None = field(default=None, repr=False)
    token_expires_at: datetime | None = None
    secret: str | None = field(default=None, repr=False)
    """With the answer to `launch`: what shows the private fields, and cancels. The client keeps it too."""

    @property
    def has_ended(self) -> bool:
        """Whether it was ready, failed or cancelled, so that no event will come any more."""
        return self.phase in _ENDINGS


@dataclass(frozen=True, kw_only=True, slots=True)
class LaunchEvent(_Shown):
    """A step of a launch."""

    launch_id: str
    seq: int
    """From 1, without gaps."""
    at: datetime
    phase: str
    """`waiting`, `launching`, `ready`, `failed` or `cancelled`; the last three end the launch's events."""
    message: str
    progress: int
    """0 to 100."""
    attempt: int
    problem: Problem | None = None
    """With `failed`."""
    image: str | None = None
    repo_url: str | None = None
    url: str | None = None
    """With `ready`: the server's root, absolute, ending in `/`."""
    open_url: str | None = field(default=None, repr=False)
    """With `ready`: what to open in a browser; mostly with the token in it."""
    token: str | None = field(default=None, repr=False)
    token_expires_at: datetime | None = None

    @property
    def is_last(self) -> bool:
        return self.phase in _ENDINGS


@dataclass(frozen=True, kw_only=True, slots=True)
class Position(_Shown):
    """The place of a launch in the queue. Not a stored event: the service sends it about once a second."""

    position: int
    """1 is next. The service sends 0 once, when the launch leaves the queue."""
    queue_size: int
    eta_s: int | None = None
    """Estimated seconds until the launch leaves the queue; None if no recent launch tells."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Session(_Shown):
    """Who one is to the service."""

    kind: str
    """`anonymous`, `hub` or `key`."""
    name: str | None = None
    is_admin: bool = False
