"""Transactions of the store's roles: reads in one of a few threads, writes in the writer's thread."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple, Unpack

from sqlalchemy import Connection

from hublaunch.store.database import Database
from hublaunch.store.writer import Writer

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

READERS = 3
"""Threads that read. Reads are short, and a read that waits for the disk delays no other."""


class Transactions:
    """Runs the SQL of each role on the threads of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="hublaunch-reader")
        self.writer = Writer(database.writing)
        shares_writer = database.counting is database.writing
        self.counter = self.writer if shares_writer else Writer(database.counting)
        """The writer of rate limits' counts."""

    def start(self) -> None:
        """Begin to write, for callers in this event loop."""
        for writer in {self.writer, self.counter}:
            writer.start()

    async def close(self) -> None:
        """Finish the accepted reads and writes, and accept no more."""
        for writer in {self.writer, self.counter}:
            writer.stop()
        await asyncio.shield(asyncio.to_thread(self._join))

    def _join(self) -> None:
        for writer in {self.writer, self.counter}:
            writer.join()
        self._readers.shutdown()
        self._database.close()

    async def read(self, read: Callable[[Connection, Unpack[Ts]], T], *args: *Ts) -> T:
        """Return what `read` returns on a connection that sees all that is committed."""

        def run() -> T:
            with self._database.reading.connect() as connection:
                return read(connection, *args)

        return await self.in_reader(run)

    async def in_reader(self, read: Callable[[], T]) -> T:
        """Run a blocking function in a reader's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, read)
