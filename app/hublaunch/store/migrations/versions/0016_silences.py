"""How long launches go without an event of the Hub, and events that say so."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add the columns, and the index that has the silences of the last launches."""
    op.add_column("launches", sa.Column("silence_s", sa.Float, nullable=False, server_default="0"))
    op.add_column("launch_events", sa.Column("stalled_since", sa.DateTime(timezone=True)))
    op.add_column("launch_events", sa.Column("stalled_reason", sa.Text))
    op.add_column("start_times", sa.Column("silence_s", sa.Float))
    op.create_index("ix_start_times_ready_at", "start_times", ["ready_at", "silence_s"])
