"""QuotaReclaim: frees the quota that is held by launches whose servers are gone."""

import asyncio
import logging
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from hublaunch.launch.course.reaper import Reaper
from hublaunch.launch.errors import HubError
from hublaunch.launch.ports import Upkeep
from hublaunch.launch.rules.quota import Quota, Scope

log = logging.getLogger(__name__)

_BATCH = 10
_SERVERS_MAX = 100
"""The most servers checked for one refusal. The next refusal continues with the servers not checked for longest."""
_OTHERS_EVERY_S = 10.0
"""The least time between two checks of a launch, by any processes, if the quota also counts other callers' launches."""
_OTHERS_TIMEOUT_S = 5.0
"""How long a request waits for checks of other callers' launches."""


@dataclass(eq=False, slots=True, weakref_slot=True)
class _Search:
    """The searches for one quota. They run one at a time, and each serves all requests refused before it began."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    begun: int = 0
    outcome: bool | HubError | None = None
    """The result of the last search; None if it was cancelled."""


class QuotaReclaim:
    """Asks the Hub about ready launches that use up a quota, and marks those whose servers are gone as stopped.

    However many requests are refused at once, the Hub gets one request at a time for each quota.
    """

    def __init__(self, *, upkeep: Upkeep, reaper: Reaper) -> None:
        self._upkeep = upkeep
        self._reaper = reaper
        self._searches: WeakValueDictionary[Quota, _Search] = WeakValueDictionary()

    async def freed(self, quota: Quota) -> bool:
        """Return whether a server was found gone since this call, so that accepting is worth another try.

        If the Hub cannot be asked, raise HubError for a quota of the caller alone, and return False for any other.
        """
        search = self._searches.setdefault(quota, _Search())
        begun_before = search.begun
        async with search.turn:
            if search.begun == begun_before or search.outcome is None:
                search.begun, search.outcome = search.begun + 1, None
                search.outcome = await self._search(quota)
            if isinstance(search.outcome, HubError):
                raise search.outcome
            return search.outcome

    async def _search(self, quota: Quota) -> bool | HubError:
        if quota.scope is Scope.CALLER and quota.name is not None:
            try:
                return await self._any_gone(quota, every_s=0)
            except HubError as error:
                return error
        try:
            async with asyncio.timeout(_OTHERS_TIMEOUT_S):
                return await self._any_gone(quota, every_s=_OTHERS_EVERY_S)
        except (HubError, TimeoutError) as error:
            log.info("Could not find out which servers are gone: %s", str(error) or "the Hub took too long")
            return False

    async def _any_gone(self, quota: Quota, *, every_s: float) -> bool:
        seen: list[str] = []
        while len(seen) < _SERVERS_MAX:
            launches = await self._upkeep.holders(quota, every_s=every_s, but=seen, limit=_BATCH)
            if not launches:
                break
            running = [await self._reaper.has_server(launch) for launch in launches]
            if not all(running):
                return True
            seen += [launch.id for launch in launches]
        return False
