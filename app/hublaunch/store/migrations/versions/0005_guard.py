"""The Hub guard's data."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the tables, without data on earlier spawns."""
    op.add_column("admission", sa.Column("grown", sa.Integer, nullable=False, server_default="0"))
    op.add_column("admission", sa.Column("sound_since", sa.DateTime(timezone=True)))
    op.add_column("admission", sa.Column("hub", sa.Text))
    op.create_table(
        "spawn_failures",
        sa.Column("launch_id", sa.Text, nullable=False),
        sa.Column("image", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cause", sa.Text),
        sa.PrimaryKeyConstraint("launch_id", name="pk_spawn_failures"),
    )
    op.create_table(
        "images",
        sa.Column("image", sa.Text, nullable=False),
        sa.Column("ready_at", sa.DateTime(timezone=True)),
        sa.Column("sound_since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("image", name="pk_images"),
    )
