"""Owners of launches, attempts that are due for clean-up, and Idempotency-Keys."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Let several processes share launches. Attempts not yet cleaned up become due."""
    op.create_table(
        "launch_owners",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_launch_owners"),
    )
    op.add_column("launches", sa.Column("launching_at", sa.DateTime(timezone=True)))
    op.add_column("launches", sa.Column("owner", sa.Text))
    op.add_column("launches", sa.Column("fence", sa.Integer, nullable=False, server_default="1"))
    op.add_column("launches", sa.Column("looked_up_at", sa.DateTime(timezone=True)))
    op.add_column("launches", sa.Column("key_scope", sa.Text))
    op.add_column("launches", sa.Column("key_request", sa.Text))
    op.create_index("ux_launches_key_scope", "launches", ["key_scope"], unique=True)
    _create_partial_index("ix_launches_ready", "launches", "looked_up_at", where="status = 'ready'")
    op.add_column("launch_attempts", sa.Column("clean_at", sa.DateTime(timezone=True)))
    op.add_column("launch_attempts", sa.Column("server_started_at", sa.DateTime(timezone=True)))
    op.drop_index("ix_launch_attempts_not_cleaned", "launch_attempts")
    op.drop_index("ix_launches_cancel_requested", "launches")
    _create_partial_index("ix_launch_attempts_clean_at", "launch_attempts", "clean_at", where="clean_at IS NOT NULL")
    op.execute(
        "UPDATE launch_attempts SET clean_at = started_at WHERE cleaned_at IS NULL AND EXISTS (SELECT 1 FROM launches "
        "WHERE id = launch_id AND (status IN ('failed', 'cancelled', 'stopped') OR attempt > number))"
    )


def _create_partial_index(name: str, table: str, column: str, *, where: str) -> None:
    op.create_index(name, table, [column], sqlite_where=sa.text(where), postgresql_where=sa.text(where))
