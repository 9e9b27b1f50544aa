"""Launches, their attempts and their events."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the first tables."""
    _create_launches()
    _create_launch_attempts()
    _create_launch_events()


def _create_launches() -> None:
    op.create_table(
        "launches",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("caller_kind", sa.Text, nullable=False),
        sa.Column("caller_key", sa.Text, nullable=False),
        sa.Column("image", sa.Text, nullable=False),
        sa.Column("repo_url", sa.Text, nullable=False),
        sa.Column("extra_args", sa.JSON, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cancel_requested_at", sa.DateTime(timezone=True)),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("stopped_at", sa.DateTime(timezone=True)),
        sa.Column("stopped_by", sa.Text),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("last_seq", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_launches"),
    )
    op.create_index("ix_launches_of_caller", "launches", ["caller_kind", "caller_key", "id"])
    _create_partial_index("ix_launches_under_way", "launches", "id", where="ended_at IS NULL")
    _create_partial_index("ix_launches_cancel_requested", "launches", "id", where="cancel_requested_at IS NOT NULL")


def _create_launch_attempts() -> None:
    op.create_table(
        "launch_attempts",
        sa.Column("launch_id", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("username", sa.Text, nullable=False),
        sa.Column("server_name", sa.Text, nullable=False),
        sa.Column("creates_user", sa.Boolean, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cleaned_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("launch_id", "number", name="pk_launch_attempts"),
        sa.ForeignKeyConstraint(
            ["launch_id"], ["launches.id"], name="fk_launch_attempts_launch_id", ondelete="CASCADE"
        ),
    )
    _create_partial_index("ix_launch_attempts_not_cleaned", "launch_attempts", "launch_id", where="cleaned_at IS NULL")


def _create_launch_events() -> None:
    op.create_table(
        "launch_events",
        sa.Column("launch_id", sa.Text, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("phase", sa.Text, nullable=False),
        sa.Column("progress", sa.Integer, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("url", sa.Text),
        sa.Column("sealed_token", sa.LargeBinary),
        sa.Column("token_expires_at", sa.DateTime(timezone=True)),
        sa.Column("problem", sa.JSON),
        sa.PrimaryKeyConstraint("launch_id", "seq", name="pk_launch_events"),
        sa.ForeignKeyConstraint(["launch_id"], ["launches.id"], name="fk_launch_events_launch_id", ondelete="CASCADE"),
        sqlite_with_rowid=False,
    )


def _create_partial_index(name: str, table: str, column: str, *, where: str) -> None:
    op.create_index(name, table, [column], sqlite_where=sa.text(where), postgresql_where=sa.text(where))
