"""Lookups: the answers of registries, kept for a while, and limited, so that callers cannot flood a registry."""

import asyncio
import logging
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from hublaunch.launch.rules.image import ImageReference
from hublaunch.launch.rules.preflight import RegistryAnswer, RegistryOutcome
from hublaunch.registry.client import RegistryClient
from hublaunch.registry.hosts import domain_of, host_of

log = logging.getLogger(__name__)

FOUND_S = 300.0
ABSENT_S = 30.0
UNKNOWN_S = 10.0
"""How long an answer is repeated, even if it says nothing: a registry that is down must not delay each launch."""
KEPT_MAX = 2000
AT_ONCE = 8
"""Lookups at the registries of one domain at once. Further lookups are not queued: they end as TOO_MANY."""
BURST, EVERY_S = 60, 1.0
"""Lookups at the registries of one domain in quick succession, and the time after which one more is allowed."""

LookupListener = Callable[[RegistryOutcome, float], None]
"""Called after each lookup at a registry, with its outcome and the seconds that it took. It may not raise."""

_KEPT_S: Mapping[RegistryOutcome, float] = {
    RegistryOutcome.FOUND: FOUND_S,
    RegistryOutcome.ABSENT: ABSENT_S,
    RegistryOutcome.WRONG_PLATFORM: ABSENT_S,
}


@dataclass(slots=True)
class _Bound:
    """How much the registries of one domain have been asked."""

    at_once: int = 0
    level_s: float = 0.0
    """The time until it is as if the registry had never been asked."""
    at: float = 0.0

    def take(self, now: float) -> bool:
        """Count one lookup, if it is allowed; return whether it is."""
        self.level_s, self.at = max(0.0, self.level_s - (now - self.at)), now
        if self.at_once >= AT_ONCE or self.level_s + EVERY_S > BURST * EVERY_S:
            return False
        self.at_once += 1
        self.level_s += EVERY_S
        return True


@dataclass(frozen=True, slots=True)
class _Kept:
    answer: RegistryAnswer
    until: float


@dataclass(eq=False, kw_only=True, slots=True)
class RegistryLookups:
    """The Registry port over a client: one lookup for everybody who asks at once, and its answer for a while."""

    client: RegistryClient
    listeners: tuple[LookupListener, ...] = ()
    now: Callable[[], float] = time.monotonic
    _kept: OrderedDict[ImageReference, _Kept] = field(default_factory=OrderedDict)
    _running: dict[ImageReference, asyncio.Task[RegistryAnswer]] = field(default_factory=dict)
    _bounds: defaultdict[str, _Bound] = field(default_factory=lambda: defaultdict(_Bound))

    async def look_up(self, image: ImageReference) -> RegistryAnswer:
        """Return what the registry says about the image, or said a short while ago."""
        key = replace(image, tag=None) if image.digest is not None else image
        kept = self._kept.get(key)
        if kept is not None and kept.until > self.now():
            return kept.answer
        if not self.client.may_ask(image):
            return RegistryAnswer(outcome=RegistryOutcome.NOT_NAMED)
        if (running := self._running.get(key)) is None:
            bound = self._bounds[domain_of(host_of(key.registry))]
            if not bound.take(self.now()):
                return RegistryAnswer(outcome=RegistryOutcome.TOO_MANY)
            running = asyncio.create_task(self._look_up(key, bound), name=f"lookup of {key}")
            self._running[key] = running
        return await asyncio.shield(running)

    async def aclose(self) -> None:
        """End the lookups in progress."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _look_up(self, image: ImageReference, bound: _Bound) -> RegistryAnswer:
        began_at = self.now()
        try:
            answer = await self.client.look_up(image)
        finally:
            bound.at_once -= 1
            del self._running[image]
        if answer.outcome.is_unknown:
            log.info("It is unknown whether the image %s exists: %s", image, answer.reason)
        for listener in self.listeners:
            listener(answer.outcome, self.now() - began_at)
        self._keep(image, answer)
        return answer

    def _keep(self, image: ImageReference, answer: RegistryAnswer) -> None:
        self._kept.pop(image, None)
        self._kept[image] = _Kept(answer, self.now() + _KEPT_S.get(answer.outcome, UNKNOWN_S))
        if len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)
