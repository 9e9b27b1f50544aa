"""How long the last launches of each image took from their admission until they were ready, and estimates."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Create the table. Earlier launches do not count, because nothing says whether they pulled their image."""
    op.add_column("launches", sa.Column("has_pulled", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("launches", sa.Column("estimate", sa.JSON))
    op.add_column("launch_events", sa.Column("estimate", sa.JSON))
    op.create_table(
        "start_times",
        sa.Column("launch_id", sa.Text, nullable=False),
        sa.Column("image", sa.Text, nullable=False),
        sa.Column("size", sa.Text, nullable=False, server_default=sa.text("''")),
        sa.Column("ready_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("pulled", sa.Boolean, nullable=False),
        sa.ForeignKeyConstraint(["launch_id"], ["launches.id"], name="fk_start_times_launch_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("launch_id", name="pk_start_times"),
        sqlite_with_rowid=False,
    )
    of_image = ["image", "size", "ready_at", "launch_id", "seconds", "pulled"]
    op.create_index("ix_start_times_of_image", "start_times", of_image)
