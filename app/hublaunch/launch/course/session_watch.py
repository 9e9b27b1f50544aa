"""The watch over sessions: it warns of their ends, and has each server stopped when its time is over."""

import asyncio
import logging

from hublaunch.launch.pace import Pace
from hublaunch.launch.ports import SessionEnds

log = logging.getLogger(__name__)

_BATCH_MAX = 100
"""Launches that are warned or ended in one transaction, so that no other write waits long."""
_LEAST_S = 0.1
"""The shortest pause. A due launch that another process has locked for the moment is left to the next check."""


class SessionWatch:
    """Looks for the next end in the store, and sleeps until then. Every process has one, and each end is found once.

    It asks the Hub nothing. A launch whose time is over is cancelled as by a caller: the process that adopts it
    (`lease.py`) stops its server, even if the Hub is down for a long time.
    """

    def __init__(self, session_ends: SessionEnds, *, pace: Pace = Pace()) -> None:
        self._ends = session_ends
        self._pace = pace

    async def run(self) -> None:
        """Check the ends of sessions until cancelled."""
        while True:
            while ended := await self._ends.end(limit=_BATCH_MAX):
                log.info("Sessions that are over: %d. Their servers are being stopped.", ended)
            while await self._ends.warn(before_s=self._pace.warn_session_s, limit=_BATCH_MAX) == _BATCH_MAX:
                pass
            next_in_s = await self._ends.next_in_s()
            longest_s = self._pace.check_sessions_s
            await asyncio.sleep(longest_s if next_in_s is None else max(_LEAST_S, min(next_in_s, longest_s)))
