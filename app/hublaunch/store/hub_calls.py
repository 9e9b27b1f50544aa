"""Calls to the Hub that failed or were slow, in SQL."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, case, select
from sqlalchemy.dialects import postgresql, sqlite

from hublaunch.launch.ports import NotedCalls
from hublaunch.store.tables import hub_calls, launches
from hublaunch.store.transactions import Transactions

_PRESENT = select(launches.c.id).where(launches.c.id.in_(bindparam("launch_ids", expanding=True)))
_OF_LAUNCH = (
    select(hub_calls)
    .where(hub_calls.c.launch_id == bindparam("of_launch"))
    .order_by(hub_calls.c.first_at, hub_calls.c.kind)
)


def _upsert(dialect_insert: Any) -> Any:
    statement = dialect_insert(hub_calls)
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=list(hub_calls.primary_key),
        set_={
            "count": hub_calls.c.count + new.count,
            "first_at": _chosen(new.first_at, new.first_at < hub_calls.c.first_at, hub_calls.c.first_at),
            "last_at": _chosen(new.last_at, new.last_at > hub_calls.c.last_at, hub_calls.c.last_at),
            "slowest_s": _chosen(new.slowest_s, new.slowest_s > hub_calls.c.slowest_s, hub_calls.c.slowest_s),
        },
    )


def _chosen(new: ColumnElement[Any], condition: ColumnElement[bool], old: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((condition, new), else_=old)


_ADD = {"sqlite": _upsert(sqlite.insert), "postgresql": _upsert(postgresql.insert)}


class SqlHubCalls:
    """The HubCalls in SQL."""

    def __init__(self, sql: Transactions) -> None:
        self._sql = sql

    async def add(self, noted: Sequence[NotedCalls]) -> None:
        await self._sql.writer.run(_add, noted)


def of_launch(connection: Connection, launch_id: str) -> Sequence[NotedCalls]:
    """Return the calls of a launch, in the order in which the first of each kind ended."""
    return [NotedCalls(**row) for row in connection.execute(_OF_LAUNCH, {"of_launch": launch_id}).mappings()]


def _add(connection: Connection, noted: Sequence[NotedCalls]) -> None:
    ids = sorted({one.launch_id for one in noted})
    present = set(connection.scalars(_PRESENT, {"launch_ids": ids}))
    rows = [_row(one) for one in noted if one.launch_id in present]
    if rows:
        connection.execute(_ADD[connection.dialect.name], rows)


def _row(one: NotedCalls) -> dict[str, Any]:
    return {column.name: getattr(one, column.name) for column in hub_calls.c}
