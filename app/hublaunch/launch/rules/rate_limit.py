"""How often something may be asked for: the generic cell rate algorithm (GCRA), as a pure function.

All that is kept of a limit is when it will be free again as a whole. Each request puts that off by one interval; there
is room for one as long as it is not put off by more than `most` intervals. That allows exactly what a bucket does that
holds `most` tokens and gets a new one each interval. ITU-T I.371, annex A.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from hublaunch.launch.errors import RateLimited

DEBT = 10
"""How many times the whole of a limit what was owed puts it off at most, so that nobody is shut out for long."""
FREE = timedelta()

Levels = Mapping[str, timedelta]
"""By the key of a limit: in how long it is free again as a whole. What is not in it is free."""


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `most` at once, and as many again in `window_s` seconds, one after the other."""

    most: int
    window_s: int

    @property
    def interval(self) -> timedelta:
        """In how long there is room for one more. Whole microseconds, so that sums are exact."""
        return timedelta(seconds=self.window_s) // self.most

    @property
    def whole(self) -> timedelta:
        """In how long a limit that is used up is free again."""
        return self.interval * self.most


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """A rate, and for whom it is."""

    name: str
    """What is limited: the name under which callers are told of it."""
    subject: str
    """Whose use of it counts as one: `hub:ada`, `address:192.0.2.7`."""
    rate: Rate

    @property
    def key(self) -> str:
        return f"{self.name} {self.subject}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Room:
    """What a limit leaves."""

    limit: Limit
    left: int
    """How many may come at once."""
    wait: timedelta
    """In how long there is room for one; nothing if there is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Whether a request may go on, by all limits that it falls under."""

    allowed: bool
    rooms: Sequence[Room]
    """What each limit leaves now, this request counted if it is allowed."""

    @property
    def refusing(self) -> Sequence[Room]:
        """What the limits leave that have no room for this request, the one that has it again last at the end."""
        return (
            [] if self.allowed else sorted((room for room in self.rooms if not room.left), key=lambda room: room.wait)
        )

    def check(self) -> None:
        """RateLimited if the request may not go on."""
        if self.allowed:
            return
        refusing = self.refusing
        raise RateLimited(
            names=tuple(room.limit.name for room in refusing),
            most=refusing[-1].limit.rate.most,
            window_s=refusing[-1].limit.rate.window_s,
            retry_after_s=whole_seconds(refusing[-1].wait),
        )


def take(limits: Sequence[Limit], levels: Levels) -> tuple[Verdict, Levels]:
    """Take one of each limit, or none of any if one has no room; with the levels that have changed by that."""
    taken = {limit.key: _level(limit, levels) + limit.rate.interval for limit in limits}
    if all(taken[limit.key] <= limit.rate.whole for limit in limits):
        return Verdict(allowed=True, rooms=_rooms(limits, taken)), taken
    return look(limits, levels), {}


def look(limits: Sequence[Limit], levels: Levels) -> Verdict:
    """Whether each limit has room; takes nothing."""
    rooms = _rooms(limits, levels)
    return Verdict(allowed=all(room.left for room in rooms), rooms=rooms)


def owe(limits: Sequence[Limit], levels: Levels) -> Levels:
    """The levels once one more of each limit is counted, whether or not there is room: what is too much is owed."""
    return {limit.key: min(_level(limit, levels) + limit.rate.interval, DEBT * limit.rate.whole) for limit in limits}


def whole_seconds(time: timedelta) -> int:
    """Rounded up, so that who waits for so long has waited long enough."""
    return -(-time // timedelta(seconds=1))


def _level(limit: Limit, levels: Levels) -> timedelta:
    return max(levels.get(limit.key, FREE), FREE)


def _rooms(limits: Sequence[Limit], levels: Levels) -> Sequence[Room]:
    return [_room(limit, _level(limit, levels)) for limit in limits]


def _room(limit: Limit, level: timedelta) -> Room:
    rate = limit.rate
    left = max(0, (rate.whole - level) // rate.interval)
    return Room(limit=limit, left=left, wait=FREE if left else level + rate.interval - rate.whole)
