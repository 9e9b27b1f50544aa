"""Stalls: adds an event to a launch once the Hub has said nothing new about it for longer than usual."""

import asyncio
import logging
from contextlib import suppress
from datetime import UTC, datetime

from hublaunch.launch.log_context import working_on
from hublaunch.launch.model import Launch
from hublaunch.launch.pace import Pace
from hublaunch.launch.ports import LaunchLog, LeaseLost, Silences
from hublaunch.launch.rules.stall import longest_usual_s, stall_step

log = logging.getLogger(__name__)


class Stalls:
    """Checks this process's launches. A silence is measured from the last event, whichever process stored that."""

    def __init__(self, *, silences: Silences, launch_log: LaunchLog, pace: Pace = Pace()) -> None:
        self._silences = silences
        self._launch_log = launch_log
        self._pace = pace

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            await self.check()
            await asyncio.sleep(self._pace.stalls_s)

    async def check(self) -> None:
        """Check once."""
        pace = self._pace
        silent = await self._silences.silent(for_s=min(pace.stalled_least_s, pace.stalled_default_s))
        if not silent:
            return
        longest = await self._silences.longest()
        usual_s = longest_usual_s(longest, least_s=pace.stalled_least_s, default_s=pace.stalled_default_s)
        for launch in silent:
            if (datetime.now(UTC) - launch.last_event.at).total_seconds() >= usual_s:
                await self._tell(launch)

    async def _tell(self, launch: Launch) -> None:
        events = await self._launch_log.events(launch.id, after=0)
        step = stall_step([event for event in events if event.seq <= launch.last_event.seq], datetime.now(UTC))
        with working_on(launch.attempt), suppress(LeaseLost):  # its new owner checks it
            if await self._silences.append_if_silent(launch, step):
                log.info("launch %s is stalled: %s", launch.id, step.message)
