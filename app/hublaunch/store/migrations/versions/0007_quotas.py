"""The names that quotas count, and indexes of active launches by these names."""

import sqlalchemy as sa
from alembic import op

from hublaunch.launch.caller import Caller
from hublaunch.launch.model import LaunchRequest
from hublaunch.launch.rules.quota import Scope
from hublaunch.launch.rules.quota_rules import counted_as

revision = "0007"
down_revision = "0006"

NAMES = ("caller_name", "repo_name", "image_name")


def upgrade() -> None:
    """Add the names, and fill them in for active launches: the others are never counted again."""
    for name in NAMES:
        op.add_column("launches", sa.Column(name, sa.Text))
    active = sa.text("status IN ('waiting', 'launching', 'ready')")
    _name_those(active)
    for name in NAMES:
        op.create_index(f"ix_launches_active_{name}", "launches", [name], sqlite_where=active, postgresql_where=active)


def _name_those(condition: sa.TextClause) -> None:
    columns = ("id", "caller_kind", "caller_key", "image", "repo_url", *NAMES)
    launches = sa.table("launches", *(sa.column(name, sa.Text) for name in columns))
    connection = op.get_bind()
    for row in connection.execute(sa.select(launches).where(condition)).all():
        names = counted_as(
            Caller(kind=row.caller_kind, key=row.caller_key), LaunchRequest(image=row.image, repo_url=row.repo_url)
        )
        connection.execute(
            launches.update()
            .where(launches.c.id == row.id)
            .values(
                caller_name=names[Scope.CALLER],
                repo_name=names.get(Scope.REPOSITORY),
                image_name=names[Scope.IMAGE],
            )
        )
