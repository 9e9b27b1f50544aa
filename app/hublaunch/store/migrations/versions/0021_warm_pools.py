"""Warm pools: their members, the launches that claimed one or could not, and the operator's orders."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Add three columns, two indexes and two tables. No earlier launch belongs to a pool."""
    for name in ("pool", "pool_miss", "claimed_from"):
        op.add_column("launches", sa.Column(name, sa.Text))
    for index, where in (
        ("ix_launches_members", "caller_kind = 'pool' AND status IN ('waiting', 'launching', 'ready')"),
        ("ix_launches_of_pool", "pool IS NOT NULL"),
    ):
        condition = sa.text(where)
        op.create_index(index, "launches", ["pool", "id"], sqlite_where=condition, postgresql_where=condition)
    op.create_table(
        "pool_demand",
        sa.Column("pool", sa.Text, nullable=False),
        sa.Column("count", sa.Float, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("pool", name="pk_pool_demand"),
    )
    op.create_table(
        "pool_orders",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("is_drained", sa.Boolean, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_pool_orders"),
    )
