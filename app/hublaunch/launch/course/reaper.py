"""The reaper: looks after launches that have ended, and removes old ones."""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from hublaunch.launch.errors import HubError
from hublaunch.launch.log_context import working_on
from hublaunch.launch.model import Launch
from hublaunch.launch.pace import Pace
from hublaunch.launch.ports import History, Hub, LeaseLost, Server, Upkeep

log = logging.getLogger(__name__)

_CHECKS_MAX = 50
"""Ready launches checked in one batch."""
_ERRORS_MAX = 3
"""After this many errors in a row the fault is the Hub's, not one user's, and the round ends."""
_UNASKED_KEPT_S = 3600.0
"""How long an ended launch is kept if it never sent a request to the Hub."""
_BYTES_PER_CALLER = 16 * 1024 * 1024
"""The most bytes kept of one caller's ended launches: about 2,000 launches of the largest size."""
_REMOVALS_MAX = 100
"""Launches removed in one transaction, so that no other write waits long."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Retention:
    """How long things are kept after their end."""

    cull_after_s: float
    """A temporary user, from the time its server was found stopped."""
    retention_s: float
    """A launch, from its acceptance, once nothing of it is left at the Hub."""


class Reaper:
    """Asks the Hub about ready launches, one user at a time, and never about a user whom the store does not name.

    It deletes nothing at the Hub. It makes clean-ups due, and the process that adopts such a launch (`lease.py`) does
    them.
    """

    def __init__(
        self, *, upkeep: Upkeep, history: History, hub: Hub, retention: Retention, pace: Pace = Pace()
    ) -> None:
        self._upkeep = upkeep
        self._history = history
        self._hub = hub
        self._retention = retention
        self._pace = pace
        self._removed_at: float | None = None
        """When old launches were last removed, by the loop's clock."""

    async def run(self) -> None:
        """Check and remove launches in rounds until cancelled."""
        while True:
            await self._check_ready_launches()
            await self._remove_old_launches()
            await asyncio.sleep(self._pace.reaper_s)

    async def has_server(self, launch: Launch) -> bool:
        """Return whether the Hub still has the server of a ready launch. If not, the launch becomes `stopped`.

        Raises HubError if the Hub cannot say.
        """
        return await self.find_server(launch) is not None

    async def find_server(self, launch: Launch) -> Server | None:
        """Return the server of a ready launch, which may be stopping, or None; otherwise as `has_server`."""
        attempt = launch.attempt
        user = await self._hub.get_user(attempt.username)
        server = user.servers.get(attempt.server_name) if user else None
        if server is not None and server.belongs_to(attempt):
            return server
        await self.mark_gone(launch, user_exists=user is not None)
        return None

    async def mark_gone(self, launch: Launch, *, user_exists: bool = True) -> None:
        """Store that the server of a ready launch is gone. From then on, a server of that name is the user's own."""
        leaves_user = launch.attempt.creates_user and user_exists
        kept_s = 0 if launch.is_member else self._retention.cull_after_s
        with suppress(ValueError, LeaseLost):  # the launch was cancelled or claimed meanwhile
            await self._upkeep.mark_stopped(launch, stopped_by="hub", clean_in_s=kept_s if leaves_user else None)

    async def _check_ready_launches(self) -> None:
        errors = 0
        while launches := await self._upkeep.ready_to_check(every_s=self._pace.check_ready_s, limit=_CHECKS_MAX):
            for launch in launches:
                try:
                    await self.has_server(launch)
                    errors = 0
                except HubError as error:
                    errors += 1
                    with working_on(launch.attempt):
                        log.info("launch %s could not be checked. This process will try again: %s", launch.id, error)
                if errors >= _ERRORS_MAX:
                    return

    async def _remove_old_launches(self) -> None:
        """Keep a bounded amount for each caller. Only launches that reached the Hub stay for all of `retention_s`."""
        began_at = asyncio.get_running_loop().time()
        since_s = _UNASKED_KEPT_S if self._removed_at is None else began_at - self._removed_at + self._pace.reaper_s
        for remove in (
            partial(self._history.remove_unasked, older_than_s=_UNASKED_KEPT_S),
            partial(self._history.remove_excess, launching_in_s=since_s, bytes_most=_BYTES_PER_CALLER),
            partial(self._history.remove_old, older_than_s=self._retention.retention_s),
        ):
            while removed := await remove(limit=_REMOVALS_MAX):
                log.info("Ended launches removed: %d", removed)
        self._removed_at = began_at
