"""Launches of the past, with the times that their starts took."""

from sqlalchemy import update

from hublaunch.store.tables import start_times
from tests.support.served import Service


async def ready_before(service: Service, *seconds: float, pulled: bool = False, **body: object) -> None:
    """Launch once for each of these times, and note that the start took that long. The Hub's servers must start."""
    store = service.state["web"].service.launch_log
    for one in seconds:
        accepted = await service.launch(**body)
        assert (await service.events(accepted["events_url"]))[-1]["phase"] == "ready"
        change = update(start_times).where(start_times.c.launch_id == accepted["id"])
        values = change.values(seconds=one, pulled=pulled)
        await store._sql.writer.run(lambda connection, values=values: connection.execute(values).rowcount)
