"""The places of a quota that servers still hold which the Hub no longer has."""

import asyncio
import logging
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from hublaunch.launch.course.reaper import Reaper
from hublaunch.launch.errors import HubError
from hublaunch.launch.ports import LaunchStore
from hublaunch.launch.rules.quotas import Quota, Scope

log = logging.getLogger(__name__)

_AT_ONCE = 10
_LOOK_UPS_MAX = 100
"""Servers asked about for one refusal. The next one goes on with those that were not seen for longest."""
_OTHERS_EVERY_S = 10.0
"""A launch that others' requests depend on is looked up at most so often, by all processes together."""
_OTHERS_WITHIN_S = 5.0
"""And for no longer than this is a request kept waiting for that."""


@dataclass(eq=False, slots=True, weakref_slot=True)
class _Search:
    """The look-ups for one quota: one after the other, each for all who were refused before it began."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    begun: int = 0
    outcome: bool | HubError | None = None
    """Of the last; None if it was broken off."""


class Places:
    """Asks the Hub about ready launches that use up a quota; those whose servers are gone become `stopped`.

    However many are refused at once, the Hub is asked one question at a time for each quota.
    """

    def __init__(self, *, store: LaunchStore, reaper: Reaper) -> None:
        self._store = store
        self._reaper = reaper
        self._searches: WeakValueDictionary[Quota, _Search] = WeakValueDictionary()

    async def freed(self, quota: Quota) -> bool:
        """Whether some were found gone since this was called, so that it is worth while to try again.

        Of a caller's own launches a HubError if the Hub cannot say; of everybody's none is gone then.
        """
        search = self._searches.setdefault(quota, _Search())
        begun_before = search.begun
        async with search.turn:
            if search.begun == begun_before or search.outcome is None:
                search.begun, search.outcome = search.begun + 1, None
                search.outcome = await self._look(quota)
            if isinstance(search.outcome, HubError):
                raise search.outcome
            return search.outcome

    async def _look(self, quota: Quota) -> bool | HubError:
        if quota.scope is Scope.CALLER and quota.name is not None:
            try:
                return await self._some_are_gone(quota, every_s=0)
            except HubError as error:
                return error
        try:
            async with asyncio.timeout(_OTHERS_WITHIN_S):
                return await self._some_are_gone(quota, every_s=_OTHERS_EVERY_S)
        except (HubError, TimeoutError) as error:
            log.info("The Hub did not say which servers are gone: %s", str(error) or "it took too long")
            return False

    async def _some_are_gone(self, quota: Quota, *, every_s: float) -> bool:
        seen: list[str] = []
        while len(seen) < _LOOK_UPS_MAX:
            launches = await self._store.holders(quota, every_s=every_s, but=seen, limit=_AT_ONCE)
            if not launches:
                break
            stand = [await self._reaper.stands(launch) for launch in launches]
            if not all(stand):
                return True
            seen += [launch.id for launch in launches]
        return False
