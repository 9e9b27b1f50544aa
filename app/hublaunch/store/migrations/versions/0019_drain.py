"""Whether an operator is draining the service."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Add the column. No service is being drained."""
    op.add_column("admission", sa.Column("draining_since", sa.DateTime(timezone=True)))
