"""PostgreSQL: several processes on one database, which tell each other of what they write."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Literal

import psycopg
from sqlalchemy import URL, Engine, create_engine
from sqlalchemy.exc import DBAPIError

from hublaunch.store.errors import DatabaseUnreachable
from hublaunch.store.pg import CHANNEL, WORK
from hublaunch.store.schema import migrate

log = logging.getLogger(__name__)

_CONNECT = {
    "connect_timeout": 10,
    "application_name": "hublaunch",
    # A server that is gone without a word is noticed within these seconds, and not after TCP's quarter of an hour.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
_SESSION = {"timezone": "UTC", "lock_timeout": "10s", "statement_timeout": "20s"}
_AGAIN_S = 2.0


class PostgresDatabase:
    """One PostgreSQL database, shared with other processes."""

    def __init__(self, url: URL, *, shown: str, readers: int, lease_s: float) -> None:
        """`shown`: the URL as it may be read by others."""
        self._url = url
        self._shown = shown
        # A process that is frozen within a transaction lets go of its locks well before the leases of those run out
        # that wait for them.
        frozen_ms = round(1000 * max(1.0, lease_s / 3))
        frozen = {"idle_in_transaction_session_timeout": frozen_ms}
        self.writing = _engine(url, connections=1, isolation="READ COMMITTED", session=frozen)
        self.counting = _engine(url, connections=1, isolation="READ COMMITTED", session=frozen)
        """Counts lock what many requests share; within the log's transactions that would make deadlocks."""
        only_read = {"default_transaction_read_only": "on"}
        self.reading = _engine(url, connections=readers, isolation="AUTOCOMMIT", session=only_read, pings=True)
        """Each statement sees what was committed when it began. Nothing can be written through it."""

    def open(self) -> None:
        """Bring the tables up to date, one process at a time. DatabaseUnreachable, SchemaUnknown."""
        try:
            migrate(self.writing)
        except DBAPIError as error:
            self.close()
            raise DatabaseUnreachable(self._shown, _reason(error)) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close every connection."""
        self.reading.dispose()
        self.counting.dispose()
        self.writing.dispose()

    def free_bytes(self) -> None:
        """PostgreSQL tells no client how much room its disks have. A write that finds them full is told as such."""

    async def notices(self) -> AsyncGenerator[str]:
        """What the processes on this database tell each other, this one too.

        A notice may be lost with its connection. After each connect, so also after each loss, `WORK` is given once.
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
                    log.warning("No notices from the other processes until PostgreSQL answers again: %s", _line(error))
                is_listening = False
            await asyncio.sleep(_AGAIN_S)

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
    """`pings`: each use of a connection finds out whether it is still there, which the writer does by itself."""
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
    """What PostgreSQL says, on one line; it repeats no password."""
    return " ".join(str(error).split()) or type(error).__name__
