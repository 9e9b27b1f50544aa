"""How a launch's repository gets into its server, and why it did not."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Add three columns. Repositories of earlier launches are labels."""
    op.add_column("launches", sa.Column("content", sa.Text))
    op.add_column("launches", sa.Column("opens", sa.Text, nullable=False, server_default=sa.text("''")))
    op.add_column("launch_events", sa.Column("content_fault", sa.Text))
