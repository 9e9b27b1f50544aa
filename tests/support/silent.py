"""Launches at the Hub that were silent for some time."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import update

from hublaunch.launch.model import Launch, Status, Step
from hublaunch.launch.rules.guard import Guard
from hublaunch.store.sql import SqlLaunchStore
from hublaunch.store.tables import launch_events
from tests.store.launches import accepted, read_back

OFF = Guard(mode="off", failure_limit=4)
STARTING = Step(phase=Status.LAUNCHING, progress=10, message="Starting")


async def at_hub(store: SqlLaunchStore, *steps: Step) -> Launch:
    """Return a launch that is at the Hub, with these steps."""
    launch = await accepted(store, time_left_s=600)
    await store.queue.admit(most=10_000, weight=lambda _: 1.0, guard=OFF)
    for step in (STARTING, *steps):
        await store.log.append(launch, step)
    return await read_back(store, launch)


async def silent_for(store: SqlLaunchStore, launch: Launch, seconds: float) -> Launch:
    """Let the last event of a launch be this old."""
    at = datetime.now(UTC) - timedelta(seconds=seconds)
    move = update(launch_events).where(launch_events.c.launch_id == launch.id).values(at=at)
    await store.sql.writer.run(lambda connection: connection.execute(move).rowcount)
    return await read_back(store, launch)
