"""SQLite answers the statements of every second and of every launch from small indexes, however long the history is."""

import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, event

from hublaunch.launch.rules.queue_order import equal
from hublaunch.store.sql import SqlLaunchStore
from tests.store.databases import sqlite_only
from tests.store.launches import new_launch
from tests.support.launching import UNGUARDED
from tests.support.warm import POOL_KEY, REQUEST, TERMS, pool, ready_members, refill

_WHOLE_HISTORY = re.compile(r"SCAN launches$|ix_launches_admitted|ix_launches_of_pool \(pool[=>]\?\)")
"""Steps of a plan that read launches from long ago."""

Noted = list[tuple[str, Any]]


@contextmanager
def noting() -> Generator[Noted]:
    """Collect the statements that read launches, with their parameters."""
    noted: Noted = []

    def note(_: Connection, __: object, statement: str, parameters: Any, *___: object) -> None:
        if statement.startswith("SELECT") and "launches" in statement:
            noted.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield noted
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@sqlite_only
async def test_acceptance_admission_refill_and_status_read_no_history(store: SqlLaunchStore) -> None:
    await ready_members(store, 2)

    with noting() as noted:
        await store.intake.accept(new_launch(request=REQUEST, pool=POOL_KEY))
        assert await store.pools.has_free(POOL_KEY)
        await store.intake.accept(new_launch())
        await store.queue.admit(most=10, weight=equal, guard=UNGUARDED)
        await store.queue.capacity(guard=UNGUARDED, most=10)
        await store.pools.to_check(every_s=0, limit=9)
        await refill(store, 2)
        await store.pools.overview([pool(2)], TERMS, within_s=3600)

    assert len(noted) > 10
    with store.database.reading.connect() as connection:
        for statement, parameters in noted:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            steps = [row.detail for row in plan if _WHOLE_HISTORY.search(row.detail)]
            assert not steps, statement
