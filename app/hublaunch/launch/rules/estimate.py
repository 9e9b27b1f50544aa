"""The estimate of when a launch will be ready, from the last launches of its image that became ready here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

STARTS_MAX = 50
"""The starts of an image that count: the last ones."""
STARTS_NEEDED = 5
"""The fewest starts that allow an estimate."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """The start of a launch that became ready."""

    seconds: float
    """From its last admission until it was ready."""
    pulled: bool
    """Whether its image had to be pulled."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """How long comparable starts usually take, as known when the estimate was made."""

    admitted_at: datetime
    """When the launch was admitted. Its start counts from then."""
    of_pulls: bool
    """Whether only starts that pulled the image are comparable."""
    count: int
    """The comparable starts. With fewer than STARTS_NEEDED, nothing is known, and the fields below are empty."""
    p50_s: float = 0
    """Half of them took at most this many seconds."""
    p90_s: float = 0
    """Nine of ten took at most this many seconds. A start that takes longer takes longer than usual."""
    longer_s: Sequence[float] = ()
    """The seconds of those that took longer than the median, in order."""

    @property
    def is_known(self) -> bool:
        return self.count >= STARTS_NEEDED

    def passed_s(self, now: datetime) -> float:
        """Return the seconds since the admission."""
        return max(0.0, (now - self.admitted_at).total_seconds())

    def ready_at(self, now: datetime) -> datetime | None:
        """Return when the launch will probably be ready; None if nothing is known, or it takes longer than usual.

        Past the median, that is the median of the starts that took longer than this one has taken already.
        """
        passed_s, expected_s = self.passed_s(now), self.p50_s
        if not self.is_known or passed_s >= self.p90_s:
            return None
        if passed_s >= self.p50_s:
            expected_s = quantile([seconds for seconds in self.longer_s if seconds > passed_s], 0.5)
        return self.admitted_at + timedelta(seconds=expected_s)


def estimate(starts: Sequence[Start], *, admitted_at: datetime, is_pulling: bool) -> Estimate:
    """Return the estimate for a launch. `starts`: the last ones of its image, at most `STARTS_MAX`.

    `is_pulling`: whether the image is being pulled, so that only other pulls are comparable.
    """
    taken = sorted(round(start.seconds, 3) for start in starts if start.pulled or not is_pulling)
    if len(taken) < STARTS_NEEDED:
        return Estimate(admitted_at=admitted_at, of_pulls=is_pulling, count=len(taken))
    p50_s = quantile(taken, 0.5)
    return Estimate(
        admitted_at=admitted_at,
        of_pulls=is_pulling,
        count=len(taken),
        p50_s=p50_s,
        p90_s=quantile(taken, 0.9),
        longer_s=tuple(seconds for seconds in taken if seconds > p50_s),
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which the next such value falls with this probability, interpolated.

    The next value is equally likely to fall into each of the n + 1 gaps around the n known ones, so it is below the
    k-th of them with probability k / (n + 1). Beyond the known values, the nearest of them is returned.
    """
    place = share * (len(ordered) + 1)
    lower = min(max(int(place), 1), len(ordered))
    upper = min(lower + 1, len(ordered))
    weight = min(max(place - lower, 0.0), 1.0)
    return ordered[lower - 1] + weight * (ordered[upper - 1] - ordered[lower - 1])
