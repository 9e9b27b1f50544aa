"""How the tables came to be, one revision after the other. Importing this imports Alembic."""

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection


def configuration(connection: Connection | None = None) -> Config:
    """Alembic's configuration: these scripts, run on this connection, within its transaction."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "hublaunch.store:migrations")
    return config


def knows(version: str) -> bool:
    """Whether there is a revision of this name."""
    try:
        ScriptDirectory.from_config(configuration()).get_revision(version)
    except CommandError:
        return False
    return True


def upgrade(connection: Connection) -> None:
    """Run every revision that the database has not seen."""
    command.upgrade(configuration(connection), "head")
