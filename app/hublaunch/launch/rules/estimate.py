"""The estimate of when a launch will be ready, from the last launches of its image that became ready here."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

STARTS_MAX = 50
"""How many of an image's last starts count."""
STARTS_NEEDED = 5
"""The fewest starts that allow an estimate."""

Start = tuple[float, bool]
"""The start of a launch that became ready: the seconds since its last admission, and whether it pulled its image."""

_SHARES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """How long comparable starts usually take, as known when the estimate was made."""

    admitted_at: datetime
    """When the launch was admitted. Its start counts from then."""
    of_pulls: bool
    """Whether only starts that pulled the image are comparable."""
    count: int
    """The comparable starts."""
    quantiles_s: Sequence[float] = ()
    """The seconds that 50, 60, 70, 80, 90 and 95 % of them took at most; empty if there are too few."""

    @property
    def is_known(self) -> bool:
        return bool(self.quantiles_s)

    @property
    def p50_s(self) -> float:
        """Half of the starts took at most this many seconds."""
        return self.quantiles_s[0]

    @property
    def p90_s(self) -> float:
        """Nine of ten took at most this many seconds. A start that takes longer takes longer than usual."""
        return self.quantiles_s[4]

    def passed_s(self, now: datetime) -> float:
        """Return the seconds since the admission."""
        return max(0.0, (now - self.admitted_at).total_seconds())

    def ready_at(self, now: datetime) -> datetime | None:
        """Return when the launch will probably be ready; None if nothing is known, or it takes longer than usual.

        Past the median, the estimate is the median of the starts that took longer than this one has taken already.
        """
        passed_s = self.passed_s(now)
        if not self.is_known or passed_s >= self.p90_s:
            return None
        if passed_s < self.p50_s:
            return self.admitted_at + timedelta(seconds=self.p50_s)
        shorter = _between(passed_s, self.quantiles_s, _SHARES)
        return self.admitted_at + timedelta(seconds=_between((1 + shorter) / 2, _SHARES, self.quantiles_s))


def estimate(starts: Sequence[Start], *, admitted_at: datetime, is_pulling: bool) -> Estimate:
    """Return the estimate for a launch. `starts`: the last ones of its image, at most `STARTS_MAX`.

    `is_pulling`: whether the image is being pulled, so that only other pulls are comparable.
    """
    taken = sorted([seconds for seconds, pulled in starts if pulled or not is_pulling])
    is_known = len(taken) >= STARTS_NEEDED
    quantiles_s = tuple([round(quantile(taken, share), 3) for share in _SHARES]) if is_known else ()
    return Estimate(admitted_at=admitted_at, of_pulls=is_pulling, count=len(taken), quantiles_s=quantiles_s)


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which the next such value falls with this probability, interpolated.

    The next value is equally likely to fall into each of the n + 1 gaps around the n known ones, so it is below the
    k-th of them with probability k / (n + 1). Beyond the known values, the nearest of them is returned.
    """
    place = share * (len(ordered) + 1) - 1
    if place <= 0:
        return ordered[0]
    below = int(place)
    if below + 1 >= len(ordered):
        return ordered[-1]
    return ordered[below] + (place - below) * (ordered[below + 1] - ordered[below])


def _between(x: float, xs: Sequence[float], ys: Sequence[float]) -> float:
    """Return y at x on the line through these points. `xs` is in order, and x between its first and last value."""
    upper = min(bisect_right(xs, x), len(xs) - 1)
    weight = (x - xs[upper - 1]) / (xs[upper] - xs[upper - 1])
    return ys[upper - 1] + weight * (ys[upper] - ys[upper - 1])
