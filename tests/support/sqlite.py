"""SQLite databases for tests that are not about migrations."""

import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from hublaunch.store.sqlite import SqliteDatabase


def migrated(path: Path) -> str:
    """Write an empty database with the latest tables to the path, and return its URL. A migration takes longer."""
    path.write_bytes(_empty())
    return f"sqlite:///{path}"


def execute(database_url: str, statement: str) -> None:
    """Execute a statement in a SQLite database that a service may have open."""
    with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as database, database:
        database.execute(statement)


@cache
def _empty() -> bytes:
    with TemporaryDirectory() as directory:
        path = Path(directory, "hublaunch.sqlite")
        database = SqliteDatabase(path, readers=1)
        database.open()
        database.close()
        return path.read_bytes()
