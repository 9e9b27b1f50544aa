"""The estimate of when a launch will be ready, from the last launches of its image that became ready here."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from hublaunch.launch.rules.guard import known_as
from hublaunch.launch.rules.image import ImageReference

STARTS_MAX = 50
"""The starts of an image that count: the last ones."""
STARTS_NEEDED = 5
"""The fewest starts that allow an estimate."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """How a launch went that became ready."""

    seconds: float
    """From its last admission until it was ready."""
    pulled: bool
    """Whether its image had to be pulled."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """How long starts like this one usually take, and how long this one is expected to take."""

    count: int
    """The starts that the estimate is based on."""
    p50_s: float
    """Half of those starts took at most this many seconds."""
    p90_s: float
    """Nine of ten took at most this many seconds. A start that takes longer takes longer than usual."""
    of_pulls: bool
    """Whether only starts that pulled the image count."""
    expected_s: float | None
    """The expected seconds from the admission until the launch is ready; None once it takes longer than usual."""
    passed_s: float
    """Seconds since its admission."""


@lru_cache(maxsize=4096)
def counted_as(image: str, digest: str | None) -> str:
    """Return the name that an image's starts are kept under: with its digest if the registry gave one."""
    if digest is None:
        return known_as(image)
    return str(replace(ImageReference.parse(image), tag=None, digest=digest))


def estimate(starts: Sequence[Start], *, is_pulling: bool, passed_s: float) -> Estimate | None:
    """Return the estimate for a launch admitted `passed_s` seconds ago; None if too few starts are known.

    `starts`: the last ones of its image, at most `STARTS_MAX`. `is_pulling`: whether a pull of the image was seen, so
    that only other pulls are comparable. Past the median, the launch is expected to take as long as the median of the
    starts that took longer than it has taken already.
    """
    taken = sorted(start.seconds for start in starts if start.pulled or not is_pulling)
    if len(taken) < STARTS_NEEDED:
        return None
    p50_s, p90_s = quantile(taken, 0.5), quantile(taken, 0.9)
    if passed_s < p50_s:
        expected_s = p50_s
    elif passed_s < p90_s:
        expected_s = quantile([seconds for seconds in taken if seconds > passed_s], 0.5)
    else:
        expected_s = None
    return Estimate(
        count=len(taken), p50_s=p50_s, p90_s=p90_s, of_pulls=is_pulling, expected_s=expected_s, passed_s=passed_s
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
