"""The database of LAUNCHER_DATABASE_URL: SQLite or PostgreSQL."""

from collections.abc import AsyncGenerator, Generator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from sqlalchemy import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from hublaunch.store.errors import (
    DatabaseNotSupported,
    DatabaseUnreachable,
    DatabaseUnusable,
    SecretKeyMissing,
    TablesMissing,
)
from hublaunch.store.schema import is_up_to_date
from hublaunch.store.secret_key import load_secret_key
from hublaunch.store.sqlite import SqliteDatabase, sqlite_path

POSTGRES = "postgresql+psycopg"


class Database(Protocol):
    """The interface of both databases."""

    writing: Engine
    """One connection, for the writer."""
    reading: Engine
    counting: Engine
    """One connection for the counts of rate limits. On SQLite it is the writer's, as a file has one writer anyway."""

    def open(self) -> None:
        """Bring the tables up to date. Blocks. Raises StoreError."""

    def close(self) -> None:
        """Close every connection. Blocks."""

    def alone(self, *, migrates: bool) -> AbstractContextManager[Connection]:
        """Open a transaction in a database that no process uses. None can start on it until the transaction ends.

        `migrates`: bring the tables up to date first. Blocks. Raises CopyRefused if a process uses the database, or
        another StoreError. Leaving closes every connection.
        """

    def free_bytes(self) -> int | None:
        """Return how much can still be stored; None if the database does not say. Blocks."""

    def notices(self) -> AsyncGenerator[str]:
        """Yield the notices of other processes, as in `coordination.py`."""


def database(database_url: str, *, readers: int, lease_s: float) -> Database:
    """Return the database of a URL, not opened yet. Raises DatabaseNotSupported."""
    url = _url(database_url)
    if url.drivername == "sqlite":
        return SqliteDatabase(sqlite_path(url), readers=readers)
    if find_spec("psycopg") is None:
        raise DatabaseNotSupported("names a PostgreSQL database, which needs `pip install hublaunch[postgresql]`")
    from hublaunch.store.postgres import PostgresDatabase  # noqa: PLC0415 - psycopg is an extra

    return PostgresDatabase(url, shown=shown(url), readers=readers, lease_s=lease_s)


@contextmanager
def transaction_beside_service(database_url: str, *, writes: bool) -> Generator[Connection]:
    """Open a transaction in the database of a running service, without taking the file or migrating the tables.

    Raises TablesMissing, DatabaseUnreachable, DatabaseUnusable or DatabaseNotSupported.
    """
    url = _url(database_url)
    if url.drivername == "sqlite" and not sqlite_path(url).exists():
        raise TablesMissing(described(database_url))
    opened = database(database_url, readers=1, lease_s=15)
    try:
        with (opened.writing if writes else opened.reading).begin() as connection:
            if not is_up_to_date(connection):
                raise TablesMissing(described(database_url))
            yield connection
    except DBAPIError as error:
        reason = " ".join(str(error.orig).split())
        if url.drivername == "sqlite":
            raise DatabaseUnusable(sqlite_path(url), reason) from error
        raise DatabaseUnreachable(described(database_url), reason) from error
    finally:
        opened.close()


def secret_key(configured: str | None, database_url: str) -> str:
    """Return the configured key, or the one beside a SQLite file.

    Processes that share a PostgreSQL database must share the key, so there it must be configured. Raises
    SecretKeyMissing, SecretKeyUnusable or DatabaseNotSupported.
    """
    if configured is not None:
        return configured
    url = _url(database_url)
    if url.drivername != "sqlite":
        raise SecretKeyMissing
    return load_secret_key(sqlite_path(url))


def described(database_url: str) -> str:
    """Return the file, or the URL without its password, for the log."""
    url = _url(database_url)
    return str(sqlite_path(url)) if url.drivername == "sqlite" else shown(url)


def shown(url: URL) -> str:
    """Return a URL without its password, wherever it has one."""
    return url.set(query={}).render_as_string(hide_password=True)


def database_file(database_url: str) -> Path | None:
    """Return the file of a SQLite database; None for PostgreSQL. Raises DatabaseNotSupported."""
    url = _url(database_url)
    return sqlite_path(url) if url.drivername == "sqlite" else None


def is_shared(database_url: str) -> bool:
    """Return whether several processes may use this database at once."""
    return _url(database_url).drivername == POSTGRES


def _url(database_url: str) -> URL:
    try:
        url = make_url(database_url)
    except ArgumentError:
        raise DatabaseNotSupported("is not a database URL") from None
    if url.drivername not in ("sqlite", POSTGRES):
        raise DatabaseNotSupported(f"must begin with sqlite:/// or {POSTGRES}://")
    return url
