"""JSON that every parser reads in the same way: I-JSON (RFC 7493), of limited depth and size.

Python's parser accepts more: NaN, 1e999 as infinity, half a surrogate pair, and integers of any length.
"""

import math
import re

DEPTH_MAX = 20
"""Levels of objects and lists: far more than an argument needs, far less than overflows a recursive parser."""
_INTEGER_MAX = 2**53 - 1
"""Up to here a double represents every integer exactly (RFC 7493 §2.2)."""

_NO_TEXT = re.compile("[\0\ud800-\udfff]")


def json_fault(value: object, *, values_max: int) -> str | None:
    """Return why the value is not I-JSON of at most `values_max` values, or None if it is. Does not recurse."""
    level, count = [value], 0
    for _ in range(DEPTH_MAX + 1):
        below: list[object] = []
        for item in level:
            if isinstance(item, dict):
                if not all(isinstance(key, str) for key in item):
                    return "must have only text as keys"
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
            return None if math.isfinite(value) else "must have only finite numbers"
    return "must be JSON"
