"""The migrations of the tables. Importing this package imports Alembic."""

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection


def configuration(connection: Connection | None = None) -> Config:
    """Return Alembic's configuration: run these scripts on this connection, within its transaction."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "hublaunch.store:migrations")
    return config


def knows(version: str) -> bool:
    """Return whether there is a revision of this name."""
    try:
        ScriptDirectory.from_config(configuration()).get_revision(version)
    except CommandError:
        return False
    return True


def upgrade(connection: Connection) -> None:
    """Run every migration that the database still needs."""
    command.upgrade(configuration(connection), "head")
