"""Figures: measured in turns, with an interval, and a limit that they keep or miss."""

import math
import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

CONFIDENCE = 0.9


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """Something that was measured several times in one run."""

    goal: str
    name: str
    values: tuple[float, ...]
    """One of each round: readings, or with unit `x` ratios of two readings that were taken one after the other."""
    unit: str = "x"
    bar: float | None = None
    """What it should stay below."""
    detail: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def interval(self) -> tuple[float, float]:
        """The values between which the true median lies in at least nine runs of ten, by their order alone.

        Of five values these are the least and the greatest (94 %); fewer than five cannot say that much.
        """
        ordered, n = sorted(self.values), len(self.values)
        dropped = 0
        while _outside(n, dropped + 1) <= 1 - CONFIDENCE:
            dropped += 1
        return ordered[dropped], ordered[-1 - dropped]

    @property
    def verdict(self) -> str:
        """`missed` only if even the lower end of the interval is above the bar."""
        if self.bar is None:
            return ""
        if self.interval[0] > self.bar:
            return "missed"
        return "kept" if self.median <= self.bar else "open"

    def as_json(self) -> dict[str, Any]:
        low, high = self.interval
        return asdict(self) | {"median": self.median, "low": low, "high": high, "verdict": self.verdict}


def pairs(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, ...]:
    """The ratio of each pair."""
    return tuple(mine / other for mine, other in zip(ours, theirs, strict=True))


def _outside(n: int, dropped: int) -> float:
    """How probable it is that the median lies outside of n values with so many `dropped` at either end."""
    return float(2 * sum(math.comb(n, below) for below in range(dropped + 1)) / 2**n)


async def by_turns(
    rounds: int, ways: Mapping[str, Callable[[], Awaitable[dict[str, Any]]]]
) -> dict[str, list[dict[str, Any]]]:
    """What each way to do it gives, round by round.

    Each round begins with another one, so that none always has the machine as the same other left it.
    """
    outcomes: dict[str, list[dict[str, Any]]] = {name: [] for name in ways}
    names = list(ways)
    for number in range(rounds):
        begin = number % len(names)
        for name in (*names[begin:], *names[:begin]):
            outcomes[name].append(await ways[name]())
    return outcomes
