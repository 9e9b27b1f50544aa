"""The digest of a launch's image, as its registry had it."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the digest, and whether the spawner gets it. Earlier launches have none."""
    op.add_column("launches", sa.Column("image_digest", sa.Text))
    op.add_column("launches", sa.Column("is_pinned", sa.Boolean, nullable=False, server_default=sa.false()))
