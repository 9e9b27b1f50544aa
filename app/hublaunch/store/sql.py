"""The store in a SQL database: the object that opens it and holds its roles."""

import asyncio
from typing import Self

from sqlalchemy.exc import SQLAlchemyError
from ulid import ULID

from hublaunch.launch.news import LogGrew, NewsStream, WorkLeft
from hublaunch.sealing import Sealer
from hublaunch.store import schema
from hublaunch.store.database import database
from hublaunch.store.history import SqlHistory
from hublaunch.store.hub_calls import SqlHubCalls
from hublaunch.store.intake import SqlIntake
from hublaunch.store.invitations import SqlInvitations
from hublaunch.store.log import KEY_KEPT_S, SqlLog
from hublaunch.store.operation import SqlOperation
from hublaunch.store.ownership import Lease, SqlOwnership
from hublaunch.store.pools import SqlPools
from hublaunch.store.queue import SqlQueue
from hublaunch.store.rate_counts import SqlRateCounts
from hublaunch.store.session_ends import SqlSessionEnds
from hublaunch.store.silences import SqlSilences
from hublaunch.store.space import Space
from hublaunch.store.transactions import READERS, Transactions
from hublaunch.store.upkeep import SqlUpkeep

LEASE_S = 15.0


class SqlLaunchStore:
    """The store's roles over one database, which is open within `async with`. Leaving waits for pending writes.

    `database_url` is `sqlite:///relative.sqlite` (to the working directory), `sqlite:////absolute.sqlite` or
    `postgresql+psycopg://…`. Raises DatabaseNotSupported for others. Entering brings the tables up to date and takes a
    SQLite file for this process alone, or raises another StoreError. Later errors of the database are SQLAlchemy's.

    `lease_s`: how long launches stay this process's after its last renewal. `key_kept_s`: how long after its
    acceptance an ended launch is found by its Idempotency-Key. `min_free_space`: bytes of free disk space below which
    no launch is accepted, where the database is a file; it is checked at most every `check_space_s`.
    """

    def __init__(
        self,
        database_url: str,
        *,
        sealer: Sealer,
        lease_s: float = LEASE_S,
        key_kept_s: float = KEY_KEPT_S,
        min_free_space: int = 0,
        check_space_s: float = 2.0,
    ) -> None:
        lease = Lease(owner=str(ULID()), lease_s=lease_s)
        self.database = database(database_url, readers=READERS, lease_s=lease_s)
        self.sql = sql = Transactions(self.database)
        self.news = news = NewsStream()
        self.space = Space(
            lambda: sql.in_reader(self.database.free_bytes), least=min_free_space, check_every_s=check_space_s
        )
        self.intake = SqlIntake(sql, news, self.space, owner=lease.owner, key_kept_s=key_kept_s)
        self.log = SqlLog(sql, news, sealer, key_kept_s=key_kept_s)
        self.queue = SqlQueue(sql, news, owner=lease.owner)
        self.ownership = SqlOwnership(sql, news, lease)
        self.upkeep = SqlUpkeep(sql, news)
        self.pools = SqlPools(sql, news, owner=lease.owner)
        self.session_ends = SqlSessionEnds(sql, news)
        self.history = SqlHistory(sql, key_kept_s=key_kept_s)
        self.silences = SqlSilences(sql, news, owner=lease.owner)
        self.rate_counts = SqlRateCounts(sql)
        self.invitations = SqlInvitations(sql)
        self.operation = SqlOperation(sql, news)
        self.hub_calls = SqlHubCalls(sql)

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.database.open)
        self.sql.start()
        try:
            await self.ownership.renew()
        except BaseException:
            await self.sql.close()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.sql.close()

    async def is_healthy(self) -> bool:
        """Return whether a write now would be stored. After a fault this tries one, so health returns by itself."""
        writer = self.sql.writer
        if writer.is_alive and writer.is_failing:
            try:
                await writer.run(schema.touch)
            except SQLAlchemyError:  # the writer has logged it
                return False
        return writer.is_alive and not writer.is_stuck

    async def listen(self) -> None:
        """Publish news of other processes until cancelled; return immediately on SQLite.

        A lost notice is a lost hint, so this can be cancelled and started again at any time.
        """
        async for notice in self.database.notices():
            launch_id, _, seq = notice.partition(" ")
            # Anything else means work, or comes from another program, and checking does no harm.
            self.news.publish(LogGrew(launch_id=launch_id, seq=int(seq)) if seq.isdecimal() else WorkLeft())
