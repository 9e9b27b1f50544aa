"""The stage of each event, and the event of Kubernetes that it is about."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add two columns. Earlier events have neither."""
    op.add_column("launch_events", sa.Column("stage", sa.Text))
    op.add_column("launch_events", sa.Column("raw_event", sa.JSON))
