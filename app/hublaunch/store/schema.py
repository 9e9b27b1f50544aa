"""The version of the tables: checked at each start, and upgraded if needed."""

from sqlalchemy import Connection, Engine, column, inspect, select, table, update

from hublaunch.store.coordination import lock, unlimit
from hublaunch.store.errors import SchemaUnknown

HEAD = "0022"
"""The version that this release reads and writes: the newest in `migrations/versions`."""

TABLES = "hublaunch's tables"
"""The lock of a process that changes the tables."""

_VERSION = table("alembic_version", column("version_num"))


def migrate(engine: Engine) -> None:
    """Upgrade the tables to HEAD in one transaction, so that the rest of the program never meets older ones.

    Raises SchemaUnknown if this release does not know their version. Processes that share a database migrate one after
    the other.
    """
    with engine.begin() as connection:
        unlimit(connection)
        lock(connection, [TABLES])
        version = version_of(connection)
        if version == HEAD:
            return
        from hublaunch.store.migrations import knows, upgrade  # noqa: PLC0415 - Alembic is slow to import, and rarely due

        if version is not None and not knows(version):
            raise SchemaUnknown(version)
        upgrade(connection)


def is_up_to_date(connection: Connection) -> bool:
    """Return whether the tables exist in the version that this release uses."""
    return version_of(connection) == HEAD


def touch(connection: Connection) -> None:
    """Write to the database without changing its contents, to find out whether it can be written."""
    connection.execute(update(_VERSION).values(version_num=_VERSION.c.version_num))


def version_of(connection: Connection) -> str | None:
    """Return the version of the tables, or None before they are created."""
    if not inspect(connection).has_table(_VERSION.name):
        return None
    version: str | None = connection.execute(select(_VERSION.c.version_num)).scalar()
    return version
