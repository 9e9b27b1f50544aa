"""The Hub guard: how much may be at stake at a Hub that exits after a number of failed spawns in a row.

JupyterHub counts the spawns that failed since the last one that succeeded, and exits at
`Spawner.consecutive_failure_limit` (z2jh: 5). That count never decays. So images that are not proven are let through as
a network's slow start lets packets through: few at first, one more with each success, and after a failure only as many
as can all fail without harm.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Literal

from hublaunch.launch.errors import LaunchError, SpawnFailed, SpawnRefused, SpawnTimedOut
from hublaunch.launch.model import FailedSpawn
from hublaunch.launch.rules.image import ImageReference

GuardMode = Literal["normal", "strict", "off"]
GuardState = Literal["open", "proven_only", "paused", "off"]

PROVEN_FOR = timedelta(hours=1)
"""How long after it was ready an image is taken to be sound."""
FAILING_FOR = timedelta(minutes=10)
"""How long an image stands refused that has failed for causes of its own."""
_FAILURES_OF_AN_IMAGE = 2
_CALLERS = 2
_UNPROVEN_OF_AN_IMAGE = 2
_REFUSALS_COUNT_BEFORE = (6,)
"""JupyterHub 6 does not count what its spawner refuses with a 4xx."""
_BROKEN_OFF_SINCE = (5, 1)


@lru_cache(maxsize=4096)
def known_as(image: str) -> str:
    """The one name by which the guard knows an image, however it is written; runtimes heed no tag beside a digest."""
    reference = ImageReference.parse(image)
    return str(replace(reference, tag=None) if reference.digest else reference)


def failed_spawn(error: LaunchError, *, hub_version: str | None, on_account: bool) -> FailedSpawn | None:
    """What the Hub counts of this error, and whose fault it was; None if the Hub does not count it.

    On an account that was there before, what the user's own volume can have caused is not the image's fault. A Hub of
    unknown version is taken to be an old one.
    """
    if isinstance(error, SpawnFailed):
        is_of_image = error.is_of_image and not (on_account and error.may_be_of_volume)
        return FailedSpawn(cause=error.title if is_of_image else None)
    if isinstance(error, SpawnTimedOut):
        return broken_off(hub_version=hub_version)
    counts = isinstance(error, SpawnRefused) and _version(hub_version) < _REFUSALS_COUNT_BEFORE
    return FailedSpawn(cause=None) if counts else None


def broken_off(*, hub_version: str | None) -> FailedSpawn | None:
    """What the Hub may yet count of a spawn that was given up, cancelled or out of time.

    Before 5.1 it goes on to its end, whatever that is; since then it ends at once and counts as none.
    """
    return FailedSpawn(cause=None) if _version(hub_version) < _BROKEN_OFF_SINCE else None


def _version(hub_version: str | None) -> tuple[int, ...]:
    """As far as it is numbers, such as (6, 1, 1); none at all if it is not known."""
    parts = (hub_version or "").split(".")[:2]
    return tuple(int(part) for part in parts) if all(part.isdecimal() and len(part) < 10 for part in parts) else ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """An image failed for a cause of its own."""

    image: str
    at: datetime
    cause: str
    caller: str
    """Whose launch it was; one name for each caller."""
    on_account: bool
    """Whether it was on an account that was there before, not on a temporary user."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failing:
    """Why an image is refused, and until when."""

    cause: str
    until: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Guard:
    """What the operator lets be at stake."""

    mode: GuardMode
    failure_limit: int
    """How many spawns may fail in a row; one below the Hub's consecutive_failure_limit."""

    def window(self, *, failures: int, grown: int) -> int:
        """How many launches of images that are not proven may be at the Hub at once; of all images if strict.

        `failures` in a row so far, and `grown`: successes since the last failure.
        """
        left = max(0, self.failure_limit - failures)
        return left if failures or self.mode == "strict" else left + grown

    def state(self, *, failures: int) -> GuardState:
        """Whether new images are let through, only proven ones, or none."""
        left = self.failure_limit - failures
        if self.mode == "off":
            return "off"
        if left <= 0:
            return "paused"
        return "proven_only" if failures and left == 1 else "open"

    def failing(self, failures: Iterable[Failure], *, proven: Collection[str]) -> Mapping[str, Failing]:
        """Which images are refused, of failures within FAILING_FOR that no success has followed, oldest first.

        An image is refused after failures of two callers, or after two on temporary users unless it is `proven`.
        """
        of_image: dict[str, list[Failure]] = {}
        for failure in failures if self.mode != "off" else ():
            of_image.setdefault(failure.image, []).append(failure)
        refused = {}
        for image, ones in of_image.items():
            enough = [n for n in range(len(ones)) if _are_enough(ones[n:], is_proven=image in proven)]
            if enough:  # until the first of the last that are enough is old
                refused[image] = Failing(cause=ones[-1].cause, until=ones[enough[-1]].at + FAILING_FOR)
        return refused


def _are_enough(failures: Collection[Failure], *, is_proven: bool) -> bool:
    """Whether these failures of one image show that the image is broken."""
    if len({failure.caller for failure in failures}) >= _CALLERS:
        return True
    on_temporary_users = sum(not failure.on_account for failure in failures)
    return on_temporary_users >= _FAILURES_OF_AN_IMAGE and not is_proven


class Room:
    """What may still be admitted, beside what is at the Hub already."""

    def __init__(
        self,
        guard: Guard,
        *,
        most: int,
        at_hub: Mapping[str, int],
        proven: Collection[str],
        blamed: Collection[Failure],
        failing: Collection[str],
        failures: int,
        grown: int,
    ) -> None:
        """`most` at the Hub at once whatever the guard says; `at_hub`: launches by image; `failing`: images that are
        refused for failures in `blamed`.
        """
        self._guard = guard
        self._most = most
        self._at_hub = Counter(at_hub)
        self._proven = proven
        self._blamed = {failure.image for failure in blamed}
        self._failing = failing
        self._state = guard.state(failures=failures)
        self._window = guard.window(failures=failures, grown=grown)

    @property
    def free(self) -> int:
        """How many more there is room for, if the guard lets them through."""
        return max(0, self._most - self._at_hub.total())

    def take(self, image: str) -> bool:
        """Whether one more launch of this image may go to the Hub; then it is counted as there."""
        if not self._has_room(image):
            return False
        self._at_hub[image] += 1
        return True

    def _has_room(self, image: str) -> bool:
        if not self.free:
            return False
        is_proven, everything = image in self._proven, self._at_hub.total()
        match self._state:
            case "off":
                return True
            case _ if image in self._failing:
                return False
            case "paused":
                return False
            case "proven_only":
                return is_proven and everything == 0
            case "open":
                at_stake = everything if self._guard.mode == "strict" else everything - self._sound
                return (is_proven and self._guard.mode == "normal") or (
                    at_stake < self._window
                    and (is_proven or self._at_hub[image] + (image in self._blamed) < _UNPROVEN_OF_AN_IMAGE)
                )

    @property
    def _sound(self) -> int:
        return sum(count for image, count in self._at_hub.items() if image in self._proven)
