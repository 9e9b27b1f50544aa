"""A service that finds stalled launches at once, and launches that the Hub has been silent about."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import update

from hublaunch.launch.pace import Pace
from hublaunch.store.tables import launch_events
from tests.support.served import Service

WATCHFUL = Pace(stalls_s=0.05)
NO_ROOM: dict[str, Any] = {
    "progress": 20,
    "message": "0/3 nodes are available",
    "raw_event": {"reason": "FailedScheduling", "type": "Warning", "message": "0/3 nodes are available: no memory"},
}
SCALE_UP: dict[str, Any] = {
    "progress": 20,
    "message": "The cluster grows",
    "raw_event": {"reason": "TriggeredScaleUp", "type": "Normal", "message": "pod triggered scale-up: [1->2]"},
}
STALLED = "Waiting for a machine for 3 minutes. The cluster is adding one."


async def until_said(service: Service, launch_id: str, message: str) -> None:
    """Return once the last event of a launch has this message."""
    log = service.state["web"].service.launch_log
    async with asyncio.timeout(20):
        while (await log.get(launch_id)).last_event.message != message:
            pass


async def silent_since(service: Service, launch_id: str, *, seconds: float = 200) -> None:
    """Let all events of a launch be this old."""
    at = datetime.now(UTC) - timedelta(seconds=seconds)
    change = update(launch_events).where(launch_events.c.launch_id == launch_id).values(at=at)
    writer = service.state["web"].service.launch_log._sql.writer
    await writer.run(lambda connection: connection.execute(change).rowcount)
