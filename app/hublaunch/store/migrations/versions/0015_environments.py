"""The environment and the size of each launch, and an index of active launches by size, which quotas count."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add three columns. Earlier launches named their images, and have no size."""
    for name in ("environment", "size"):
        op.add_column("launches", sa.Column(name, sa.Text))
    op.add_column("launches", sa.Column("size_options", sa.JSON))
    active = sa.text("status IN ('waiting', 'launching', 'ready')")
    op.create_index("ix_launches_active_size", "launches", ["size"], sqlite_where=active, postgresql_where=active)
