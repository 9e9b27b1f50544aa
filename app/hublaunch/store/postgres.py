"""PostgreSQL: several processes on one database, which notify each other of their writes."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import psycopg
from sqlalchemy import URL, Connection, Engine, create_engine, func, select
from sqlalchemy.exc import DBAPIError

from hublaunch.store.coordination import CHANNEL, WORK, try_lock, unlimit
from hublaunch.store.errors import CopyRefused, DatabaseUnreachable
from hublaunch.store.schema import TABLES, is_up_to_date, migrate, version_of
from hublaunch.store.tables import launch_owners, metadata

log = logging.getLogger(__name__)

_CONNECT = {
    "connect_timeout": 10,
    "application_name": "hublaunch",
    # Notice within these seconds that a server has vanished, not after TCP's quarter of an hour.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
_SESSION = {"timezone": "UTC", "lock_timeout": "10s", "statement_timeout": "20s"}
_RECONNECT_S = 2.0
_KEEP_WRITERS_OUT = f"LOCK TABLE {', '.join(metadata.tables)} IN SHARE ROW EXCLUSIVE MODE"
"""Without this, a replica that was frozen for longer than its lease could continue, and write what nobody copies."""
_LIVING_OWNERS = select(func.count()).where(launch_owners.c.leased_until > func.now())


class PostgresDatabase:
    """One PostgreSQL database, shared with other processes."""

    def __init__(self, url: URL, *, shown: str, readers: int, lease_s: float) -> None:
        """`shown`: the URL without its password."""
        self._url = url
        self._shown = shown
        # A process frozen within a transaction must lose its locks well before the leases of the processes that wait
        # for them run out.
        frozen_ms = round(1000 * max(1.0, lease_s / 3))
        frozen = {"idle_in_transaction_session_timeout": frozen_ms}
        self.writing = _engine(url, connections=1, isolation="READ COMMITTED", session=frozen)
        self.counting = _engine(url, connections=1, isolation="READ COMMITTED", session=frozen)
        """Counts lock rows that many requests share. Within the log's transactions that would cause deadlocks."""
        only_read = {"default_transaction_read_only": "on"}
        self.reading = _engine(url, connections=readers, isolation="AUTOCOMMIT", session=only_read, pings=True)
        """Read-only connections. Each statement sees what was committed when it began."""

    def open(self) -> None:
        """Bring the tables up to date, one process at a time. Raises DatabaseUnreachable or SchemaUnknown."""
        try:
            migrate(self.writing)
        except DBAPIError as error:
            self.close()
            raise DatabaseUnreachable(self._shown, _reason(error)) from error
        except BaseException:
            self.close()
            raise

    @contextmanager
    def alone(self, *, migrates: bool) -> Generator[Connection]:
        if migrates:
            self.open()
        try:
            with self.writing.connect() as connected:
                with connected.begin():
                    self._keep_out(connected)  # before the locks, for which a running service would wait
                    has_tables = is_up_to_date(connected)
                connection = connected.execution_options(isolation_level="REPEATABLE READ")
                with connection.begin():
                    unlimit(connection)
                    if has_tables:
                        connection.exec_driver_sql(_KEEP_WRITERS_OUT)  # before the first query takes the snapshot
                    self._keep_out(connection)
                    yield connection
        except DBAPIError as error:
            raise DatabaseUnreachable(self._shown, _reason(error)) from error
        finally:
            self.close()

    def _keep_out(self, connection: Connection) -> None:
        """Keep processes from starting. Raises CopyRefused if one has a lease, or is starting."""
        is_used = not try_lock(connection, TABLES)  # waiting would make the snapshot old
        if not is_used and version_of(connection) is not None:
            is_used = bool(connection.execute(_LIVING_OWNERS).scalar_one())
        if is_used:
            raise CopyRefused(
                f"A running hublaunch uses {self._shown}. Stop every replica first. A replica that was killed counts "
                "until its lease expires (LAUNCHER_LEASE_S)."
            )

    def close(self) -> None:
        """Close every connection."""
        self.reading.dispose()
        self.counting.dispose()
        self.writing.dispose()

    def free_bytes(self) -> None:
        """Return None: PostgreSQL does not report free disk space. A write to a full disk raises StorageFull."""

    async def notices(self) -> AsyncGenerator[str]:
        """Yield the notices of the processes on this database, including this one.

        A notice may be lost with its connection. So each new connection first yields WORK.
        """
        is_listening = True
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(**self._parameters(), autocommit=True) as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    is_listening = True
                    yield WORK
                    async for notice in connection.notifies():
                        yield notice.payload
            except (psycopg.Error, OSError) as error:
                if is_listening:
                    log.warning("No notices from other processes until PostgreSQL answers again: %s", _line(error))
                is_listening = False
            await asyncio.sleep(_RECONNECT_S)

    def _parameters(self) -> dict[str, Any]:
        names = {"username": "user", "database": "dbname"}
        given = {names.get(key, key): value for key, value in self._url.translate_connect_args().items()}
        query = {name: value if isinstance(value, str) else ",".join(value) for name, value in self._url.query.items()}
        return {**_CONNECT, **given, **query}


def _engine(
    url: URL,
    *,
    connections: int,
    isolation: Literal["READ COMMITTED", "AUTOCOMMIT"],
    session: Mapping[str, object],
    pings: bool = False,
) -> Engine:
    """`pings`: check each connection before its use, which the writer does by itself."""
    own = " ".join(f"-c {name}={value}" for name, value in {**_SESSION, **session}.items())
    given = url.query.get("options", "")
    options = f"{given if isinstance(given, str) else ' '.join(given)} {own}".strip()
    return create_engine(
        url,
        isolation_level=isolation,
        pool_size=connections,
        max_overflow=0,
        pool_pre_ping=pings,
        hide_parameters=True,
        connect_args={**_CONNECT, "options": options},
    )


def _reason(error: DBAPIError) -> str:
    return _line(error.orig) if error.orig is not None else "it does not answer"


def _line(error: BaseException) -> str:
    """Return PostgreSQL's message on one line. It contains no password."""
    return " ".join(str(error).split()) or type(error).__name__
