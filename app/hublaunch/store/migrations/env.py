"""Alembic runs this script for each of its commands, in the transaction of the configured connection."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
