"""The Hub guard: keeps JupyterHub from exiting because too many spawns failed in a row.

JupyterHub counts the failed spawns since the last successful one, and exits at `Spawner.consecutive_failure_limit`
(z2jh: 5). That count never decays. So launches of unproven images are admitted as in TCP slow start: a few at first,
one more after each success, and after a failure only as many as can all fail without reaching the limit.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Literal

from hublaunch.launch.errors import InvalidRequest, LaunchError, SpawnFailed, SpawnRefused, SpawnTimedOut
from hublaunch.launch.model import FailedSpawn
from hublaunch.launch.rules.image import ImageReference

GuardMode = Literal["normal", "strict", "off"]
GuardState = Literal["open", "proven_only", "paused", "off"]

PROVEN_FOR = timedelta(hours=1)
"""How long an image counts as proven after a server of it was ready."""
FAILING_FOR = timedelta(minutes=10)
"""How long an image is refused after failures that it caused itself."""
_FAILURES_OF_AN_IMAGE = 2
_CALLERS = 2
_UNPROVEN_OF_AN_IMAGE = 2
_REFUSALS_COUNT_BEFORE = (6,)
"""JupyterHub 6 does not count spawns that its spawner refuses with a 4xx."""
_ABANDONED_COUNT_BEFORE = (5, 1)
"""See `abandoned_spawn`."""


@lru_cache(maxsize=4096)
def known_as(image: str) -> str:
    """Return the guard's name for an image, the same for all its spellings. Runtimes ignore a tag beside a digest.

    Raises InvalidRequest if it is not the name of an image.
    """
    try:
        reference = ImageReference.parse(image)
    except ValueError as error:
        raise InvalidRequest("image", str(error)) from None
    return str(replace(reference, tag=None) if reference.digest else reference)


def failed_spawn(error: LaunchError, *, hub_version: str | None, on_account: bool) -> FailedSpawn | None:
    """Return the failure that the Hub counts for this error, and whether the image caused it; None if none is counted.

    On an existing account (`on_account`), errors that the user's volume can cause are not blamed on the image. A Hub of
    unknown version is treated as an old one.
    """
    if isinstance(error, SpawnFailed):
        is_of_image = error.is_of_image and not (on_account and error.may_be_of_volume)
        return FailedSpawn(cause=error.title if is_of_image else None)
    if isinstance(error, SpawnTimedOut):
        return abandoned_spawn(hub_version=hub_version)
    counts = isinstance(error, SpawnRefused) and _version(hub_version) < _REFUSALS_COUNT_BEFORE
    return FailedSpawn(cause=None) if counts else None


def abandoned_spawn(*, hub_version: str | None) -> FailedSpawn | None:
    """Return the failure that the Hub may still count for a spawn that was cancelled or timed out; None if it cannot.

    Before JupyterHub 5.1 such a spawn continues and may fail later. Since then it ends immediately and is not counted.
    """
    return FailedSpawn(cause=None) if _version(hub_version) < _ABANDONED_COUNT_BEFORE else None


def _version(hub_version: str | None) -> tuple[int, ...]:
    """Return major and minor version, such as (6, 1); () if unknown."""
    parts = (hub_version or "").split(".")[:2]
    return tuple(int(part) for part in parts) if all(part.isdecimal() and len(part) < 10 for part in parts) else ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A failed spawn that its image caused."""

    image: str
    at: datetime
    cause: str
    caller: str
    """The caller of the launch, by a unique name."""
    on_account: bool
    """Whether the launch was on an existing account, not on a temporary user's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failing:
    """An image that is refused for now: why, and until when."""

    cause: str
    until: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Guard:
    """The operator's settings of the guard, and the decisions that follow from them."""

    mode: GuardMode
    failure_limit: int
    """Failed spawns in a row that the guard allows: one below the Hub's consecutive_failure_limit."""

    def window(self, *, failures: int, grown: int) -> int:
        """Return how many launches of unproven images may be at the Hub at once; in strict mode, of all images.

        `failures`: in a row so far. `grown`: successes since the last failure.
        """
        left = max(0, self.failure_limit - failures)
        return left if failures or self.mode == "strict" else left + grown

    def state(self, *, failures: int) -> GuardState:
        """Return which images are admitted: all (`open`), only proven ones, or none (`paused`)."""
        left = self.failure_limit - failures
        if self.mode == "off":
            return "off"
        if left <= 0:
            return "paused"
        return "proven_only" if failures and left == 1 else "open"

    def failing(self, failures: Iterable[Failure], *, proven: Collection[str]) -> Mapping[str, Failing]:
        """Return the images to refuse, by name.

        `failures`: those within FAILING_FOR that no success of the same image has followed, oldest first. An image is
        refused once launches of two callers have failed, or, unless it is `proven`, two launches of temporary users.
        """
        of_image: dict[str, list[Failure]] = {}
        for failure in failures if self.mode != "off" else ():
            of_image.setdefault(failure.image, []).append(failure)
        refused = {}
        for image, recent in of_image.items():
            enough = [n for n in range(len(recent)) if _are_enough(recent[n:], is_proven=image in proven)]
            if enough:  # refused until too few of the failures are recent
                refused[image] = Failing(cause=recent[-1].cause, until=recent[enough[-1]].at + FAILING_FOR)
        return refused


def _are_enough(failures: Collection[Failure], *, is_proven: bool) -> bool:
    """Return whether these failures of one image are enough to refuse it."""
    if len({failure.caller for failure in failures}) >= _CALLERS:
        return True
    on_temporary_users = sum(not failure.on_account for failure in failures)
    return on_temporary_users >= _FAILURES_OF_AN_IMAGE and not is_proven


@dataclass(frozen=True, kw_only=True, slots=True)
class SpawnHistory:
    """The outcomes of recent spawns, over all processes."""

    proven: Collection[str] = ()
    """Images that were ready within PROVEN_FOR."""
    blamed: Collection[Failure] = ()
    """Failures that images caused."""
    failing: Collection[str] = ()
    """Images that are refused for failures in `blamed`."""
    failures: int = 0
    """Failed spawns in a row."""
    grown: int = 0
    """Successes since the last failure."""


class Headroom:
    """The launches that may be admitted now, in addition to those already at the Hub."""

    def __init__(self, guard: Guard, history: SpawnHistory, *, most: int, at_hub: Mapping[str, int]) -> None:
        """`most`: launches at the Hub at once, whatever the guard allows. `at_hub`: launches there now, by image."""
        self._guard = guard
        self._most = most
        self._at_hub = Counter(at_hub)
        self._proven = history.proven
        self._blamed = {failure.image for failure in history.blamed}
        self._failing = history.failing
        self._state = guard.state(failures=history.failures)
        self._window = guard.window(failures=history.failures, grown=history.grown)

    @property
    def free(self) -> int:
        """How many more launches fit at the Hub, whether or not the guard admits them."""
        return max(0, self._most - self._at_hub.total())

    def take(self, image: str) -> bool:
        """Count one more launch of this image as being at the Hub, if it may be admitted; return whether it may."""
        if not self._has_room(image):
            return False
        self._at_hub[image] += 1
        return True

    def take_spare(self, image: str) -> bool:
        """Count one more launch as `take` does, unless the guard would have to hold back the next unproven image."""
        is_certain = self._guard.mode == "normal" and image in self._proven
        if self._state not in ("open", "off"):
            return False
        if self._state == "open" and not is_certain and self._at_stake + 1 >= self._window:
            return False
        return self.take(image)

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
                return (is_proven and self._guard.mode == "normal") or (
                    self._at_stake < self._window
                    and (is_proven or self._at_hub[image] + (image in self._blamed) < _UNPROVEN_OF_AN_IMAGE)
                )

    @property
    def _at_stake(self) -> int:
        """The launches at the Hub whose failures the guard must expect."""
        everything = self._at_hub.total()
        return everything if self._guard.mode == "strict" else everything - self._proven_at_hub

    @property
    def _proven_at_hub(self) -> int:
        return sum(count for image, count in self._at_hub.items() if image in self._proven)
