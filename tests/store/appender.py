"""A process that appends to three launches of a store until it is killed, and prints each event once it is stored."""

import asyncio
import sys

from hublaunch.launch.model import Launch
from hublaunch.sealing import Sealer
from hublaunch.store.sql import SqlLaunchStore
from tests.store.launches import PULLING, new_launch


async def append(store: SqlLaunchStore, launch: Launch) -> None:
    while True:
        event = await store.log.append(launch, PULLING)
        sys.stdout.write(f"{event.launch_id} {event.seq}\n")
        sys.stdout.flush()


async def main() -> None:
    launches = [new_launch() for _ in range(3)]
    async with SqlLaunchStore(sys.argv[1], sealer=Sealer(["0" * 32], purpose="stored tokens")) as store:
        await asyncio.gather(*map(store.intake.accept, launches))
        await asyncio.gather(*(append(store, launch) for launch in launches))


asyncio.run(main())
