"""What becomes of launches beside their events, told by the records once it is stored.

For those who count it, write it down or trace it; the course of a launch depends on none of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hublaunch.launch.model import Attempt, Caller, Launch


@dataclass(frozen=True, kw_only=True, slots=True)
class Accepted:
    """A new launch; not one that was found again by its Idempotency-Key."""

    launch: Launch


@dataclass(frozen=True, kw_only=True, slots=True)
class CancelRequested:
    """Somebody has asked to cancel a launch, for the first time."""

    launch_id: str
    by: Caller | None
    """None if that is not known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Adopted:
    """Launches that belonged to no living process are this one's now."""

    launches: Sequence[Launch]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cleaned:
    """Nothing of an attempt is left at the Hub."""

    attempt: Attempt
    is_late: bool
    """Whether its launch was over by then, or had gone on with another attempt."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stopped:
    """A ready launch's server is gone."""

    launch_id: str
    stopped_by: str
    """`caller` or `hub`."""


Change = Accepted | CancelRequested | Adopted | Cleaned | Stopped
