"""Durations as people type and read them."""

import re
from datetime import timedelta

_PARTS = re.compile(r"(?:(\d{1,4})d)?(?:(\d{1,5})h)?(?:(\d{1,6})m(?:in)?)?(?:(\d{1,8})s?)?")


def seconds_of(text: str) -> int:
    """Return the seconds of `90m`, `1h`, `1h30m`, `2d` or `5400`. Raises ValueError."""
    parts = _PARTS.fullmatch(text.replace(" ", "").lower())
    if not parts or not any(parts.groups()):
        raise ValueError("must be a time such as 30m, 1h or 1h30m")
    days, hours, minutes, seconds = (int(part or 0) for part in parts.groups())
    return seconds + 60 * (minutes + 60 * (hours + 24 * days))


def rough(passed: timedelta) -> str:
    """Return the largest unit of a duration: `5 s`, `12 min`, `3 h` or `4 d`."""
    for unit, length in (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("min", timedelta(minutes=1))):
        if passed >= length:
            return f"{passed // length} {unit}"
    return f"{passed.seconds} s"
