"""Bounds on ended launches: by caller, and for launches that never reached the Hub."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the column and two indexes. Earlier launches are bounded only by age."""
    op.add_column("launches", sa.Column("history_of", sa.Text))
    ended = sa.text("status IN ('failed', 'cancelled', 'stopped')")
    never_asked = sa.text("launching_at IS NULL AND ended_at IS NOT NULL")
    op.create_index("ix_launches_history", "launches", ["history_of", "id"], sqlite_where=ended, postgresql_where=ended)
    op.create_index(
        "ix_launches_never_asked", "launches", ["ended_at"], sqlite_where=never_asked, postgresql_where=never_asked
    )
