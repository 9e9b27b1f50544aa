"""The end of each session, its warning, and the keys of its extensions."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Add two columns, an index and a table. Servers that are ready already have no end."""
    op.add_column("launches", sa.Column("will_end_at", sa.DateTime(timezone=True)))
    op.add_column("launches", sa.Column("end_warned_at", sa.DateTime(timezone=True)))
    will_end = sa.text("status = 'ready' AND will_end_at IS NOT NULL")
    op.create_index(
        "ix_launches_will_end", "launches", ["will_end_at"], sqlite_where=will_end, postgresql_where=will_end
    )
    op.create_table(
        "launch_extensions",
        sa.Column("launch_id", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("seconds", sa.Integer, nullable=False),
        sa.ForeignKeyConstraint(
            ["launch_id"], ["launches.id"], name="fk_launch_extensions_launch_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("launch_id", "key", name="pk_launch_extensions"),
    )
