"""The queue in which launches wait for their admission."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the queue. Launches in progress count as admitted."""
    op.add_column("launches", sa.Column("admitted_at", sa.DateTime(timezone=True)))
    op.add_column("launches", sa.Column("time_left_s", sa.Float, nullable=False, server_default="0"))
    op.execute("UPDATE launches SET admitted_at = created_at WHERE ended_at IS NULL")
    admitted = sa.text("admitted_at IS NOT NULL")
    op.create_index(
        "ix_launches_admitted", "launches", ["admitted_at"], sqlite_where=admitted, postgresql_where=admitted
    )
    admission = op.create_table(
        "admission",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("paused_until", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_admission"),
    )
    op.bulk_insert(admission, [{"id": 1, "paused_until": None}])
    op.create_table(
        "line_turns",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("turn", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_line_turns"),
    )
