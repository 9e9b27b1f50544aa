"""Inspection of the database for `hublaunch doctor`, without taking, creating or changing anything."""

import os
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import create_engine, func, make_url, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from hublaunch.store.database import database, described, is_shared
from hublaunch.store.errors import DatabaseUnreachable, DatabaseUnusable, SchemaUnknown
from hublaunch.store.migrations import knows
from hublaunch.store.schema import HEAD, version_of
from hublaunch.store.sqlite import sqlite_path


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspection:
    """The state of a database that can be used."""

    described: str
    """The file, or the URL without its password."""
    version: str | None
    """The version of the tables; None before they are created."""
    free_bytes: int | None = None
    """Free bytes on its volume; None if unknown."""
    clock_ahead_s: float | None = None
    """Seconds by which its clock is ahead of this machine's; None if it has no clock of its own."""

    @property
    def is_current(self) -> bool:
        """Whether the next start leaves the tables unchanged."""
        return self.version == HEAD


def inspect(database_url: str) -> Inspection:
    """Inspect the database. Raises a StoreError if it cannot be used. Blocks."""
    found = _postgres(database_url) if is_shared(database_url) else _sqlite(database_url)
    if found.version is not None and not knows(found.version):
        raise SchemaUnknown(found.version)
    return found


def _sqlite(database_url: str) -> Inspection:
    path = sqlite_path(make_url(database_url))
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise DatabaseUnusable(path, "its directory does not exist, or may not be written to")
    if not path.exists():
        return Inspection(described=str(path), version=None, free_bytes=_free_bytes(path))
    if not os.access(path, os.R_OK | os.W_OK):
        raise DatabaseUnusable(path, "it may not be read and written")
    address = f"file:{quote(str(path))}?mode=ro"
    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(address, uri=True), poolclass=NullPool)
    try:
        with engine.connect() as connection:
            return Inspection(described=str(path), version=version_of(connection), free_bytes=_free_bytes(path))
    except DBAPIError as error:
        raise DatabaseUnusable(path, str(error.orig)) from error


def _free_bytes(path: Path) -> int:
    volume = os.statvfs(path.parent)
    return volume.f_bavail * volume.f_frsize


def _postgres(database_url: str) -> Inspection:
    inspected = database(database_url, readers=1, lease_s=1)
    try:
        with inspected.reading.connect() as connection:
            now: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
            ahead = now - datetime.now(UTC)
            return Inspection(
                described=described(database_url),
                version=version_of(connection),
                clock_ahead_s=ahead.total_seconds(),
            )
    except DBAPIError as error:
        raise DatabaseUnreachable(described(database_url), " ".join(str(error.orig).split())) from error
    finally:
        inspected.close()
