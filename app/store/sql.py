"""SqlLaunchStore: the records in a SQL database."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Concatenate, ParamSpec, Self, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from app.launch.model import Attempt, Caller, Event, Launch, Status, Step
from app.sealing import Sealer
from app.store import reads, schema, writes
from app.store.sqlite import SqliteDatabase, database_path
from app.store.writer import Writer

P = ParamSpec("P")
T = TypeVar("T")

READERS = 3
"""Threads that read. Reads are short, and one that waits for the disk holds up no other."""


class SqlLaunchStore:
    """The LaunchStore in SQL. Open from `async with` on to its end, which waits for all that is being written.

    `database_url` is `sqlite:///relative.sqlite` (to the working directory) or `sqlite:////absolute.sqlite`; another
    one is DatabaseNotSupported. Entering takes the file for this process alone and brings its tables up to date, or
    raises another StoreError. What the database says later is raised as SQLAlchemy's error.
    """

    def __init__(self, database_url: str, *, sealer: Sealer) -> None:
        self._sealer = sealer
        self._database = SqliteDatabase(database_path(database_url), readers=READERS)
        self._writer = Writer(self._database.writing)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="hublaunch-reader")
        self._listeners: list[Callable[[Event], None]] = []

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._database.open)
        self._writer.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._writer.stop()
        await asyncio.shield(asyncio.to_thread(self._close))

    async def is_healthy(self) -> bool:
        """Whether what is written now would be stored. After a fault that is tried, so health returns by itself."""
        if self._writer.is_alive and self._writer.is_failing:
            try:
                await self._writer.write(schema.touch, None)
            except SQLAlchemyError:  # is the answer, and is in the writer's log
                return False
        return self._writer.is_alive

    # --- writes -------------------------------------------------------------------------------------------------------

    async def accept(self, launch: Launch) -> None:
        await self._writer.write(writes.accept, launch, on_stored=self._publish)

    async def begin_attempt(self, attempt: Attempt) -> None:
        await self._writer.write(writes.begin_attempt, attempt)

    async def append(self, launch_id: str, step: Step) -> Event:
        sealed_token = None if step.token is None else self._sealer.seal(step.token)
        append = writes.Append(launch_id, step, sealed_token)
        return await self._writer.write(writes.append, append, on_stored=self._publish)

    def subscribe(self, listener: Callable[[Event], None]) -> None:
        self._listeners.append(listener)

    async def request_cancel(self, launch_id: str) -> None:
        await self._writer.write(writes.request_cancel, launch_id)

    async def mark_cleaned(self, attempt: Attempt) -> None:
        await self._writer.write(writes.mark_cleaned, attempt)

    async def mark_stopped(self, launch_id: str, *, stopped_by: str) -> None:
        await self._writer.write(writes.mark_stopped, writes.Stop(launch_id, stopped_by))

    # --- reads --------------------------------------------------------------------------------------------------------

    async def get(self, launch_id: str) -> Launch | None:
        return await self._read(reads.get, launch_id)

    async def launches(
        self, caller: Caller | None, *, status: Status | None = None, before: str | None = None, limit: int | None
    ) -> Sequence[Launch]:
        return await self._read(reads.page, caller, status, before, limit)

    async def events(self, launch_id: str, *, after: int) -> Sequence[Event]:
        return await self._read(reads.events, launch_id, after)

    async def unfinished(self) -> Sequence[Launch]:
        return await self._read(reads.unfinished)

    # ------------------------------------------------------------------------------------------------------------------

    def _publish(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)

    async def _read(self, read: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        def run() -> T:
            with self._database.reading.connect() as connection:
                return read(connection, *args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._readers, run)

    def _close(self) -> None:
        self._writer.join()
        self._readers.shutdown()
        self._database.close()
