"""What to open in the server."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the path; launches that asked for none open their server's root."""
    op.add_column("launches", sa.Column("path", sa.Text, nullable=False, server_default=sa.text("''")))
