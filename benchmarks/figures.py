"""Figures: values measured in turn, with an interval and a bar to stay below."""

import math
import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

CONFIDENCE = 0.9


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A quantity that was measured several times in one run."""

    goal: str
    name: str
    values: tuple[float, ...]
    """One value per round: a reading or, with unit `x`, the ratio of two readings taken one after the other."""
    unit: str = "x"
    bar: float | None = None
    """The value to stay below."""
    detail: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def interval(self) -> tuple[float, float]:
        """The values between which the true median lies in at least nine of ten runs, by their order alone.

        With five values these are the least and the greatest (94 %). Fewer than five cannot give that confidence.
        """
        ordered, n = sorted(self.values), len(self.values)
        dropped = 0
        while _outside(n, dropped + 1) <= 1 - CONFIDENCE:
            dropped += 1
        return ordered[dropped], ordered[-1 - dropped]

    @property
    def verdict(self) -> str:
        """`kept`, `open` or `missed`: missed only if even the lower end of the interval is above the bar."""
        if self.bar is None:
            return ""
        if self.interval[0] > self.bar:
            return "missed"
        return "kept" if self.median <= self.bar else "open"

    def as_json(self) -> dict[str, Any]:
        low, high = self.interval
        return asdict(self) | {"median": self.median, "low": low, "high": high, "verdict": self.verdict}


def pairs(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, ...]:
    """Return the ratio of each pair."""
    return tuple(mine / other for mine, other in zip(ours, theirs, strict=True))


def _outside(n: int, dropped: int) -> float:
    """Return the probability that the median lies outside of n values with `dropped` values removed at either end."""
    return float(2 * sum(math.comb(n, below) for below in range(dropped + 1)) / 2**n)


async def by_turns(
    rounds: int, ways: Mapping[str, Callable[[], Awaitable[dict[str, Any]]]]
) -> dict[str, list[dict[str, Any]]]:
    """Return the outcomes of each way, round by round.

    Each round begins with another way, so that no way always runs after the same other way.
    """
    outcomes: dict[str, list[dict[str, Any]]] = {name: [] for name in ways}
    names = list(ways)
    for number in range(rounds):
        begin = number % len(names)
        for name in (*names[begin:], *names[:begin]):
            outcomes[name].append(await ways[name]())
    return outcomes
