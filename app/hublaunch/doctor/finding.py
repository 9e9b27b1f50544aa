"""What `hublaunch doctor` says of one thing."""

from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Literal

CLOCK_OFF_S = 5.0
"""By which clocks may differ: a `Date` is cut to the second, and takes its time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that was looked at."""

    check: str
    state: Literal["ok", "warning", "fault", "unknown"]
    told: str
    advice: str = ""
    """What to do; `""` if nothing has to be done."""


def clock(check: str, ahead: float | None) -> Finding:
    """Return what to say of a clock that is so many seconds ahead of this machine's; None if it was not told."""
    if ahead is None:
        return Finding(check=check, state="unknown", told="It was not told.")
    if abs(ahead) <= CLOCK_OFF_S:
        return Finding(check=check, state="ok", told="It agrees with this machine's.")
    told = f"It is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} this machine's."
    return Finding(check=check, state="warning", told=told, advice="Have both set their clocks by NTP.")


def ahead_s(date: str | None, now: datetime) -> float | None:
    """Return the seconds by which an answer's `Date` is ahead of now; None without one."""
    try:
        return (parsedate_to_datetime(date or "") - now).total_seconds()
    except (TypeError, ValueError):
        return None
