"""What becomes of launches that have ended: servers that are gone, users nobody needs any more, old records."""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from hublaunch.launch.errors import HubError
from hublaunch.launch.log_context import about
from hublaunch.launch.model import Launch
from hublaunch.launch.pace import Pace
from hublaunch.launch.ports import Hub, LaunchStore, LeaseLost, Server

log = logging.getLogger(__name__)

_LOOK_UPS_MAX = 50
_FAULTS_MAX = 3
"""After so many look-ups in a row that fail it is the Hub, not a user, that cannot be asked."""
_UNASKED_KEPT_S = 3600.0
"""How long a launch is kept that has ended and never asked anything of the Hub."""
_BYTES_OF_CALLER = 16 * 1024 * 1024
"""How much is kept of the launches of one caller that have ended: some 2,000 of the largest there can be."""
_REMOVALS_MAX = 100
"""Records removed in one transaction, so that no launch waits long behind them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Keeping:
    """How long what has ended is kept."""

    cull_after_s: float
    """A temporary user, after their server has stopped."""
    retention_s: float
    """The record of a launch, after its acceptance, once nothing of it is left at the Hub."""


class Reaper:
    """Asks the Hub about ready launches, one user at a time, and about nobody whom the records do not name.

    It deletes nothing at the Hub itself: it makes what is to be deleted due, and whoever takes such a launch over
    (`lease.py`) cleans up after it.
    """

    def __init__(self, *, store: LaunchStore, hub: Hub, keeping: Keeping, pace: Pace = Pace()) -> None:
        self._store = store
        self._hub = hub
        self._keeping = keeping
        self._pace = pace
        self._removed_at: float | None = None
        """When old launches were last removed, by the loop's clock."""

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            await self._look_up_ready_ones()
            await self._remove_old()
            await asyncio.sleep(self._pace.reaper_s)

    async def stands(self, launch: Launch) -> bool:
        """Whether the server of a ready launch is still there, by the Hub. If not, the launch becomes `stopped`.

        A HubError if the Hub cannot say.
        """
        return await self.server(launch) is not None

    async def server(self, launch: Launch) -> Server | None:
        """As above: the server, also while it is stopping."""
        attempt = launch.attempt
        user = await self._hub.get_user(attempt.username)
        server = user.servers.get(attempt.server_name) if user else None
        if server is not None and server.is_the_one_of(attempt):
            return server
        await self.mark_gone(launch, user_is_there=user is not None)
        return None

    async def mark_gone(self, launch: Launch, *, user_is_there: bool = True) -> None:
        """The server of a ready launch is gone, and what its user starts under that name is not the launch's."""
        leaves_user = launch.attempt.creates_user and user_is_there
        with suppress(ValueError, LeaseLost):  # somebody has cancelled it meanwhile
            await self._store.mark_stopped(
                launch, stopped_by="hub", clean_in_s=self._keeping.cull_after_s if leaves_user else None
            )

    async def _look_up_ready_ones(self) -> None:
        in_a_row = 0
        while launches := await self._store.ready_to_look_up(every_s=self._pace.check_ready_s, limit=_LOOK_UPS_MAX):
            for launch in launches:
                try:
                    await self.stands(launch)
                    in_a_row = 0
                except HubError as error:
                    in_a_row += 1
                    with about(launch.attempt):
                        log.info("launch %s is looked up later: %s", launch.id, error)
                if in_a_row >= _FAULTS_MAX:
                    return

    async def _remove_old(self) -> None:
        """Of each caller a bounded amount is kept, and for the whole of `retention_s` only what came to the Hub."""
        began_at = asyncio.get_running_loop().time()
        since_s = _UNASKED_KEPT_S if self._removed_at is None else began_at - self._removed_at + self._pace.reaper_s
        for remove in (
            partial(self._store.remove_unasked, older_than_s=_UNASKED_KEPT_S),
            partial(self._store.remove_excess, launching_in_s=since_s, bytes_most=_BYTES_OF_CALLER),
            partial(self._store.remove_old, older_than_s=self._keeping.retention_s),
        ):
            while removed := await remove(limit=_REMOVALS_MAX):
                log.info("%d launches removed that have ended", removed)
        self._removed_at = began_at
