"""The branch, tag or commit of a launch's repository."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the ref. Launches without one name the default branch."""
    op.add_column("launches", sa.Column("ref", sa.Text, nullable=False, server_default=sa.text("''")))
