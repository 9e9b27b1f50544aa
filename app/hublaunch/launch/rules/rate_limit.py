"""Rate limits with the generic cell rate algorithm (GCRA), as pure functions.

The only state of a limit is its level: the time until it is completely unused again. Each request adds one interval,
and is allowed while the level stays within `most` intervals. That is equivalent to a bucket of `most` tokens that gains
one token per interval. ITU-T I.371, annex A.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from hublaunch.launch.errors import RateLimited

DEBT = 10
"""The highest level that `owe` reaches, in multiples of a whole limit, so that nobody is shut out for long."""
FREE = timedelta()

Levels = Mapping[str, timedelta]
"""The levels of limits by their keys. A limit that is missing is unused."""


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `most` requests at once; the room for them comes back evenly over `window_s` seconds."""

    most: int
    window_s: int

    @property
    def interval(self) -> timedelta:
        """The time in which room for one more request comes back, in whole microseconds, so that sums are exact."""
        return timedelta(seconds=self.window_s) // self.most

    @property
    def whole(self) -> timedelta:
        """The time in which a limit that is used up becomes unused again."""
        return self.interval * self.most


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """A rate and the subject that it applies to."""

    name: str
    """The name that callers see in the headers: `caller`, `address/56`."""
    subject: str
    """Whose requests count together: `hub:ada`, `address:192.0.2.7`."""
    rate: Rate

    @property
    def key(self) -> str:
        return f"{self.name} {self.subject}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Allowance:
    """The part of a limit that is left."""

    limit: Limit
    left: int
    """Requests that are allowed now."""
    wait: timedelta
    """The time until one request is allowed; zero if one is allowed now."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The verdict on a request by all limits that apply to it."""

    allowed: bool
    allowances: Sequence[Allowance]
    """The rest of each limit; an allowed request is already counted."""

    @property
    def refusing(self) -> Sequence[Allowance]:
        """The used-up limits of a refused request, by increasing wait; empty if the request is allowed."""
        if self.allowed:
            return []
        return sorted((one for one in self.allowances if not one.left), key=lambda one: one.wait)

    def check(self) -> None:
        """Raise RateLimited if the request is not allowed."""
        if self.allowed:
            return
        *_, longest = refusing = self.refusing
        raise RateLimited(
            names=tuple(one.limit.name for one in refusing),
            most=longest.limit.rate.most,
            window_s=longest.limit.rate.window_s,
            retry_after_s=whole_seconds(longest.wait),
        )


def take(limits: Sequence[Limit], levels: Levels) -> tuple[Verdict, Levels]:
    """Count one request in every limit if all allow it, else in none; return the verdict and the changed levels."""
    taken = {limit.key: _level(limit, levels) + limit.rate.interval for limit in limits}
    if all(taken[limit.key] <= limit.rate.whole for limit in limits):
        return Verdict(allowed=True, allowances=_allowances(limits, taken)), taken
    return inspect(limits, levels), {}


def inspect(limits: Sequence[Limit], levels: Levels) -> Verdict:
    """Return whether every limit allows one request, without counting it."""
    allowances = _allowances(limits, levels)
    return Verdict(allowed=all(one.left for one in allowances), allowances=allowances)


def owe(limits: Sequence[Limit], levels: Levels) -> Levels:
    """Count one request in every limit, allowed or not, and return the changed levels; the excess is a debt."""
    return {limit.key: min(_level(limit, levels) + limit.rate.interval, DEBT * limit.rate.whole) for limit in limits}


def whole_seconds(time: timedelta) -> int:
    """Round up to whole seconds, so that waiting for the result is always long enough."""
    return -(-time // timedelta(seconds=1))


def _level(limit: Limit, levels: Levels) -> timedelta:
    return max(levels.get(limit.key, FREE), FREE)


def _allowances(limits: Sequence[Limit], levels: Levels) -> Sequence[Allowance]:
    return [_allowance(limit, _level(limit, levels)) for limit in limits]


def _allowance(limit: Limit, level: timedelta) -> Allowance:
    rate = limit.rate
    left = max(0, (rate.whole - level) // rate.interval)
    return Allowance(limit=limit, left=left, wait=FREE if left else level + rate.interval - rate.whole)
