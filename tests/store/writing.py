"""A writer kept busy, so that a test decides which changes form a batch."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from sqlalchemy import Connection

from hublaunch.store.sql import SqlLaunchStore


@asynccontextmanager
async def held_writer(store: SqlLaunchStore) -> AsyncIterator[None]:
    """The writer is busy while this context is open, so all changes requested meanwhile come in one batch."""
    busy, go_on = threading.Event(), threading.Event()

    def hold(_connection: Connection, arguments: Sequence[None]) -> Sequence[None]:
        busy.set()
        assert go_on.wait(timeout=10)
        return arguments

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(store.sql.writer.write(hold, None))
        assert await asyncio.to_thread(busy.wait, 10)
        yield
        await asyncio.sleep(0)
        go_on.set()
