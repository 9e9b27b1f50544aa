"""SQLite: which file, that it is this process's alone, and how its connections are set up."""

import fcntl
import os
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, delete, event
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.exc import DatabaseError

from hublaunch.store.errors import DatabaseInUse, DatabaseNotSupported, DatabaseUnusable
from hublaunch.store.schema import migrate
from hublaunch.store.tables import launch_owners

_PRAGMAS = (
    "PRAGMA busy_timeout = 5000",
    "PRAGMA auto_vacuum = INCREMENTAL",  # has no effect once there is a table, or WAL
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
)


def sqlite_path(url: URL) -> Path:
    """The file that a SQLite URL names, absolute and without links. DatabaseNotSupported if it names none."""
    if url.query:
        raise DatabaseNotSupported("must have no options")
    if url.host or not url.database or url.database == ":memory:":
        raise DatabaseNotSupported("names no file")
    return Path(os.path.realpath(url.database))


class FileLock:
    """A lock on a file of its own. It ends with `release`, or with the process however that ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock; False if anybody has it, this process included. OSError if the file cannot be made."""
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            return False
        return True

    def release(self) -> None:
        """Give the lock up. The file stays: who removed it could remove one that another has just locked."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class _Dialect(SQLiteDialect_pysqlite):
    """The driver begins a transaction late, and as a reader's; this one begins at once, as a writer's."""

    supports_statement_cache = True

    def do_begin(self, dbapi_connection: Any) -> None:
        dbapi_connection.execute("BEGIN IMMEDIATE")


registry.register("sqlite.hublaunch", __name__, _Dialect.__name__)


class SqliteDatabase:
    """One SQLite file, which is this process's alone from `open` to `close`."""

    def __init__(self, path: Path, *, readers: int) -> None:
        self._path = path
        self._lock = FileLock(path.with_name(f"{path.name}.lock"))
        self.writing = _engine("sqlite+hublaunch", path, connections=1)
        """Its transactions exclude other writers from their beginning on."""
        self.reading = _engine("sqlite", path, connections=readers)
        """Each statement sees what was committed when it began. Nothing can be written through it."""
        event.listen(self.reading, "connect", _forbid_writing)
        self.counting = self.writing

    def open(self) -> None:
        """Take the file, making it (mode 0600) if there is none, and bring its tables up to date. No lease survives.

        DatabaseInUse, DatabaseUnusable or SchemaUnknown; the file is then not taken.
        """
        with ExitStack() as undo:
            undo.callback(self.close)
            self._take()
            self._migrate()
            with self.writing.begin() as connection:
                connection.execute(
                    delete(launch_owners)
                )  # this process has the file to itself, so no other owner lives
            undo.pop_all()

    def free_bytes(self) -> int:
        """What its volume has free, and the pages within the file that are used again before that grows."""
        volume = os.statvfs(self._path.parent)
        with self.reading.connect() as connection:
            pages: int = connection.exec_driver_sql("PRAGMA freelist_count").scalar_one()
            page_bytes: int = connection.exec_driver_sql("PRAGMA page_size").scalar_one()
        return volume.f_bavail * volume.f_frsize + pages * page_bytes

    async def notices(self) -> AsyncGenerator[str]:
        """None: no other process writes to this file."""
        none: tuple[str, ...] = ()
        for notice in none:
            yield notice

    def close(self) -> None:
        """Close every connection, which puts the write-ahead log into the file, and let go of the file."""
        self.reading.dispose()
        self.writing.dispose()
        self._lock.release()

    def _take(self) -> None:
        try:
            if not self._lock.acquire():
                raise DatabaseInUse(self._path)
            # Only now: closing a file that this process has open elsewhere drops the locks that SQLite has on it.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        except FileNotFoundError as error:
            raise DatabaseUnusable(self._path, "its directory does not exist") from error
        except OSError as error:
            raise DatabaseUnusable(self._path, error.strerror or str(error)) from error

    def _migrate(self) -> None:
        try:
            migrate(self.writing)
        except DatabaseError as error:
            raise DatabaseUnusable(self._path, str(error.orig)) from error


def _engine(drivername: str, path: Path, *, connections: int) -> Engine:
    url = URL.create(drivername, database=str(path))
    engine = create_engine(url, pool_size=connections, max_overflow=0, hide_parameters=True)
    event.listen(engine, "connect", _set_up)
    return engine


def _set_up(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions are ours to begin
    for pragma in _PRAGMAS:
        connection.execute(pragma)


def _forbid_writing(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA query_only = ON")
