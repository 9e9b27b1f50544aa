"""Removal of ended launches in SQL, so that no caller fills the disk with them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Executable, Integer, bindparam, delete, func, select
from ulid import ULID

from hublaunch.store import spawn_history
from hublaunch.store.coordination import now
from hublaunch.store.tables import HAS_ENDED, NEVER_ASKED, Instant, launch_attempts, launches
from hublaunch.store.transactions import Transactions

_ULID_TIME = 10
"""The characters of a ULID that hold its time."""

_RECORD_BYTES = 2000
"""The size of a launch without its texts and later events: its attempt, first event and share of the indexes."""
_EVENT_BYTES = 400

_UNCLEAN = (
    select(func.count())
    .where(
        launch_attempts.c.launch_id == launches.c.id,
        launch_attempts.c.cleaned_at.is_(None) | launch_attempts.c.clean_at.is_not(None),
    )
    .scalar_subquery()
)
"""Counted, because PostgreSQL turns a NOT EXISTS into a join that reads every attempt in the table."""
_IS_CLEAN = _UNCLEAN == 0
_OLD = (
    select(launches.c.id)
    .where(
        launches.c.id < bindparam("before_id"),
        HAS_ENDED,
        _IS_CLEAN,
    )
    .order_by(launches.c.id)
    .limit(bindparam("most", type_=Integer))
    .with_for_update(skip_locked=True)
)
_REMOVE = delete(launches).where(launches.c.id.in_(bindparam("launch_ids", expanding=True)))
_UNASKED = (
    select(launches.c.id)
    .where(
        NEVER_ASKED,
        launches.c.ended_at < bindparam("ended_before", type_=Instant),
        launches.c.key_scope.is_(None) | (launches.c.created_at < bindparam("key_kept_since", type_=Instant)),
        _IS_CLEAN,
    )
    .order_by(launches.c.ended_at)
    .limit(bindparam("most", type_=Integer))
    .with_for_update(skip_locked=True)
)
_LAUNCHING_LATELY = (
    select(launches.c.history_of)
    .where(launches.c.id >= bindparam("since_id"), launches.c.history_of.is_not(None))
    .distinct()
)
_BYTES = (
    _RECORD_BYTES
    + _EVENT_BYTES * launches.c.last_seq
    + func.length(launches.c.image)
    + func.length(launches.c.repo_url)
    + func.length(launches.c.path)
    + func.length(launches.c.ref)
)
_ADDED_UP = (
    select(launches.c.id, func.sum(_BYTES).over(order_by=launches.c.id.desc()).label("bytes"))
    .where(HAS_ENDED, launches.c.history_of == bindparam("caller"))
    .subquery()
)
_EXCESS = (
    select(launches.c.id)
    .where(
        launches.c.id.in_(select(_ADDED_UP.c.id).where(_ADDED_UP.c.bytes > bindparam("bytes_most", type_=Integer))),
        _IS_CLEAN,
    )
    .order_by(launches.c.id)
    .limit(bindparam("most", type_=Integer))
    .with_for_update(skip_locked=True)
)


class SqlHistory:
    """The History in SQL."""

    def __init__(self, sql: Transactions, *, key_kept_s: float) -> None:
        self._sql = sql
        self._key_kept_s = key_kept_s

    async def remove_old(self, *, older_than_s: float, limit: int) -> int:
        return await self._sql.writer.run(_remove_old, _first_id(older_than_s), limit)

    async def remove_unasked(self, *, older_than_s: float, limit: int) -> int:
        return await self._sql.writer.run(_remove_unasked, older_than_s, self._key_kept_s, limit)

    async def remove_excess(self, *, launching_in_s: float, bytes_most: int, limit: int) -> int:
        return await self._sql.writer.run(_remove_excess, _first_id(launching_in_s), bytes_most, limit)


def _first_id(seconds_ago: float) -> str:
    """Return the beginning of the ids of launches accepted this long ago; later ids sort after it."""
    return str(ULID.from_datetime(datetime.now(UTC) - timedelta(seconds=seconds_ago)))[:_ULID_TIME]


def _remove_old(connection: Connection, before_id: str, limit: int) -> int:
    spawn_history.forget(connection)
    return _remove(connection, _OLD, {"before_id": before_id, "most": limit})


def _remove_unasked(connection: Connection, older_than_s: float, key_kept_s: float, limit: int) -> int:
    at = now(connection)
    ended_before, key_kept_since = at - timedelta(seconds=older_than_s), at - timedelta(seconds=key_kept_s)
    key = {"ended_before": ended_before, "key_kept_since": key_kept_since, "most": limit}
    return _remove(connection, _UNASKED, key)


def _remove_excess(connection: Connection, since_id: str, bytes_most: int, limit: int) -> int:
    removed = 0
    for caller in connection.execute(_LAUNCHING_LATELY, {"since_id": since_id}).scalars().all():
        key = {"caller": caller, "bytes_most": bytes_most, "most": limit - removed}
        removed += _remove(connection, _EXCESS, key)
        if removed == limit:
            break
    return removed


def _remove(connection: Connection, chosen: Executable, key: Mapping[str, Any]) -> int:
    """Remove the chosen launches with their attempts and events. Return how many."""
    launch_ids = [row.id for row in connection.execute(chosen, key)]
    if launch_ids:
        connection.execute(_REMOVE, {"launch_ids": launch_ids})
    return len(launch_ids)
