"""An index to count a caller's active launches without reading their history."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the index."""
    active = sa.text("status IN ('waiting', 'launching', 'ready')")
    op.create_index(
        "ix_launches_active_of_caller",
        "launches",
        ["caller_kind", "caller_key"],
        sqlite_where=active,
        postgresql_where=active,
    )
