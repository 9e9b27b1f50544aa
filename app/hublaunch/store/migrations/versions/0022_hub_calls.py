"""Calls to the Hub that failed or were slow."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Add a table, which is empty: nothing is known of the calls of earlier launches."""
    op.create_table(
        "hub_calls",
        sa.Column("launch_id", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("slowest_s", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("launch_id", "attempt", "kind", "outcome", name="pk_hub_calls"),
        sa.ForeignKeyConstraint(["launch_id"], ["launches.id"], name="fk_hub_calls_launch_id", ondelete="CASCADE"),
        sqlite_with_rowid=False,
    )
