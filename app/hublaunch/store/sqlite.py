"""SQLite: one file, which belongs to one process."""

import fcntl
import os
import sqlite3
from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, delete, event
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.exc import DatabaseError

from hublaunch.store.errors import CopyRefused, DatabaseInUse, DatabaseNotSupported, DatabaseUnusable
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
    """Return the file of a SQLite URL, absolute and without links. Raises DatabaseNotSupported without a file."""
    if url.query:
        raise DatabaseNotSupported("must have no options")
    if url.host or not url.database or url.database == ":memory:":
        raise DatabaseNotSupported("names no file")
    return Path(os.path.realpath(url.database))


class FileLock:
    """A lock by means of a separate file. It ends with `release`, or when the process ends in any way."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock. Return False if any process, even this one, has it. Raises OSError if no file can be made."""
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            return False
        return True

    def release(self) -> None:
        """Release the lock. The file stays, because another process may have locked it already."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class _Dialect(SQLiteDialect_pysqlite):
    """A dialect that begins each transaction immediately, for writing. The driver would begin late, for reading."""

    supports_statement_cache = True

    def do_begin(self, dbapi_connection: Any) -> None:
        dbapi_connection.execute("BEGIN IMMEDIATE")


registry.register("sqlite.hublaunch", __name__, _Dialect.__name__)


class SqliteDatabase:
    """One SQLite file, which belongs to this process from `open` to `close`."""

    def __init__(self, path: Path, *, readers: int) -> None:
        self._path = path
        self._lock = FileLock(path.with_name(f"{path.name}.lock"))
        self.writing = _engine("sqlite+hublaunch", path, connections=1)
        """Its transactions exclude other writers from the start."""
        self.reading = _engine("sqlite", path, connections=readers)
        """Read-only connections. Each statement sees what was committed when it began."""
        event.listen(self.reading, "connect", _forbid_writing)
        self.counting = self.writing

    def open(self) -> None:
        """Take the file, creating it (mode 0600) if needed, and bring its tables up to date. End all leases.

        Raises DatabaseInUse, DatabaseUnusable or SchemaUnknown, and then does not take the file.
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

    @contextmanager
    def alone(self, *, migrates: bool) -> Generator[Connection]:
        try:
            self._take()
        except DatabaseInUse:
            raise CopyRefused(f"A running hublaunch uses {self._path}. Stop it first.") from None
        try:
            if migrates:
                self._migrate()
            with self.writing.begin() as connection:
                yield connection
        except DatabaseError as error:
            raise DatabaseUnusable(self._path, str(error.orig)) from error
        finally:
            self.close()

    def free_bytes(self) -> int:
        """Return the free bytes of the volume and of the file, which reuses free pages before it grows."""
        volume = os.statvfs(self._path.parent)
        with self.reading.connect() as connection:
            pages: int = connection.exec_driver_sql("PRAGMA freelist_count").scalar_one()
            page_bytes: int = connection.exec_driver_sql("PRAGMA page_size").scalar_one()
        return volume.f_bavail * volume.f_frsize + pages * page_bytes

    async def notices(self) -> AsyncGenerator[str]:
        """Yield nothing: no other process writes to this file."""
        none: tuple[str, ...] = ()
        for notice in none:
            yield notice

    def close(self) -> None:
        """Close every connection, which moves the write-ahead log into the file, and release the file."""
        self.reading.dispose()
        self.writing.dispose()
        self._lock.release()

    def _take(self) -> None:
        try:
            if not self._lock.acquire():
                raise DatabaseInUse(self._path)
            # Only now: closing a file that this process also has open elsewhere drops SQLite's locks on it.
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
    connection.isolation_level = None  # this module begins transactions
    for pragma in _PRAGMAS:
        connection.execute(pragma)


def _forbid_writing(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA query_only = ON")
