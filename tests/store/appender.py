"""A process that appends to three launches of a store until it is killed, telling each event once it is stored."""

import asyncio
import sys

from app.store.sealing import Sealer
from app.store.sql import SqlLaunchStore
from tests.store.launches import PULLING, new_launch


async def append(store: SqlLaunchStore, launch_id: str) -> None:
    while True:
        event = await store.append(launch_id, PULLING)
        sys.stdout.write(f"{event.launch_id} {event.seq}\n")
        sys.stdout.flush()


async def main() -> None:
    async with SqlLaunchStore(sys.argv[1], sealer=Sealer("0" * 32)) as store, asyncio.TaskGroup() as group:
        for _ in range(3):
            launch = new_launch()
            await store.accept(launch)
            group.create_task(append(store, launch.id))


asyncio.run(main())
