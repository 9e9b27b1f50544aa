"""The result of one check of `hublaunch doctor`."""

from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Literal

from hublaunch.launch.rules.condition import of_clock


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """The result of one check."""

    check: str
    state: Literal["ok", "warning", "fault", "unknown"]
    message: str
    advice: str = ""
    """What to do; `""` if nothing needs to be done."""


def clock(check: str, ahead: float | None) -> Finding:
    """Return the finding for a clock that is `ahead` seconds ahead of this machine's; None if unknown."""
    if ahead is None:
        return Finding(check=check, state="unknown", message="The time is unknown.")
    condition = of_clock(ahead)
    if condition is None:
        return Finding(check=check, state="ok", message="It agrees with this machine's clock.")
    side = "ahead of" if ahead > 0 else "behind"
    message = f"{condition.words}: it is {abs(ahead):.0f} s {side} this machine's clock."
    return Finding(check=check, state="warning", message=message, advice="Synchronize both clocks with NTP.")


def ahead_s(date: str | None, now: datetime) -> float | None:
    """Return the seconds by which a `Date` header is ahead of now; None if it is missing or invalid."""
    try:
        return (parsedate_to_datetime(date or "") - now).total_seconds()
    except (TypeError, ValueError):
        return None
