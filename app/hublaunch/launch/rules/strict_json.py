"""Values that every reader of JSON reads alike: I-JSON (RFC 7493), with a bound on depth and size.

Python's own reader takes more: NaN, 1e999 as infinity, half a surrogate pair, and integers of any length.
"""

import math
import re

DEPTH_MAX = 20
"""Levels of objects and lists. Far more than an argument needs, far less than a recursive reader can take."""
_INTEGER_MAX = 2**53 - 1
"""The largest integer that a double has exactly, as have all its neighbours (RFC 7493 §2.2)."""

_NO_TEXT = re.compile("[\0\ud800-\udfff]")


def json_fault(value: object, *, values_max: int) -> str | None:
    """Return the reason why the value is no I-JSON of at most `values_max` values; None if it is. Never recurses."""
    level, count = [value], 0
    for _ in range(DEPTH_MAX + 1):
        below: list[object] = []
        for item in level:
            if isinstance(item, dict):
                if not all(isinstance(key, str) for key in item):
                    return "must have text for keys"
                below += item.keys()
                below += item.values()
            elif isinstance(item, list | tuple):
                below += item
            elif fault := _scalar_fault(item):
                return fault
            if count + len(below) > values_max:
                return f"must have at most {values_max} values"
        if not below:
            return None
        count += len(below)
        level = below
    return f"must not be nested deeper than {DEPTH_MAX} levels"


def _scalar_fault(value: object) -> str | None:
    match value:
        case None | bool():
            return None
        case str():
            return None if not _NO_TEXT.search(value) else "must have no NUL and no half of a surrogate pair"
        case int():
            return None if abs(value) <= _INTEGER_MAX else f"must have no integer beyond {_INTEGER_MAX}"
        case float():
            return None if math.isfinite(value) else "must have finite numbers only"
    return "must be JSON"
