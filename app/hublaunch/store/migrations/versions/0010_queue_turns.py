"""The table of callers' turns is named after the queue."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Move the rows to a new table. SQLite can rename a table, but not its constraints."""
    op.create_table(
        "queue_turns",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("turn", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_queue_turns"),
    )
    op.execute("INSERT INTO queue_turns (name, turn) SELECT name, turn FROM line_turns")
    op.drop_table("line_turns")
