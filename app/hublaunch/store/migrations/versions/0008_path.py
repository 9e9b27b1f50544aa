"""The path to open in the server."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the path. Launches without one open their server's root."""
    op.add_column("launches", sa.Column("path", sa.Text, nullable=False, server_default=sa.text("''")))
