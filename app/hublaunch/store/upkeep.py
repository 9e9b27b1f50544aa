"""Upkeep of launches in SQL: clean-ups of attempts, and checks of ready servers."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, func, select

from hublaunch.launch.errors import LaunchNotFound
from hublaunch.launch.model import Attempt, Launch, Status
from hublaunch.launch.news import Cleaned, NewsStream, Stopped
from hublaunch.launch.rules.quota import Quota
from hublaunch.store.append import FORGET_ARGS, MAKE_DUE, UPDATE_ATTEMPT, UPDATE_LAUNCH, lock_end
from hublaunch.store.coordination import now
from hublaunch.store.quota_counts import is_counted
from hublaunch.store.rows import ATTEMPT_COLUMNS, attempt_of
from hublaunch.store.server_checks import check, unchecked
from hublaunch.store.tables import IS_ACTIVE, IS_MEMBER, IS_READY, Instant, launch_attempts, launches
from hublaunch.store.transactions import Transactions

_NOW = bindparam("now", type_=Instant)
_MARK_CLEANED = UPDATE_ATTEMPT.values(cleaned_at=func.coalesce(launch_attempts.c.cleaned_at, _NOW))
_DUE_OF_LAUNCH = (
    select(*ATTEMPT_COLUMNS)
    .where(launch_attempts.c.launch_id == bindparam("of_launch"), launch_attempts.c.clean_at <= _NOW)
    .order_by(launch_attempts.c.number)
)
_HOLDERS = (
    select(launches.c.id)
    .where(
        IS_ACTIVE,  # uses the indexes of active launches
        IS_READY,
        ~IS_MEMBER,
        launches.c.looked_up_at.is_(None) | (launches.c.looked_up_at <= bindparam("seen_before", type_=Instant)),
        launches.c.id.not_in(bindparam("but", expanding=True)),
    )
    .order_by(func.coalesce(launches.c.looked_up_at, launches.c.ended_at), launches.c.id)
    .limit(bindparam("most"))
    .with_for_update()
)


class SqlUpkeep:
    """The Upkeep in SQL."""

    def __init__(self, sql: Transactions, news: NewsStream) -> None:
        self._sql = sql
        self._news = news

    async def due(self, launch_id: str) -> Sequence[Attempt]:
        return await self._sql.read(_due, launch_id)

    async def mark_cleaned(self, launch: Launch, attempt: Attempt, *, again_in_s: float | None = None) -> None:
        def publish(is_late: bool) -> None:
            self._news.publish(Cleaned(attempt=attempt, is_late=is_late))

        await self._sql.writer.run(_mark_cleaned, attempt, launch.fence, again_in_s, on_stored=publish)

    async def mark_stopped(self, launch: Launch, *, stopped_by: str, clean_in_s: float | None) -> None:
        def publish(_: None) -> None:
            self._news.publish(Stopped(launch_id=launch.id, stopped_by=stopped_by))

        await self._sql.writer.run(_mark_stopped, launch.id, launch.fence, stopped_by, clean_in_s, on_stored=publish)

    async def ready_to_check(self, *, every_s: float, limit: int) -> Sequence[Launch]:
        return await self._sql.writer.run(_ready_to_check, every_s, limit)

    async def holders(self, quota: Quota, *, every_s: float, but: Collection[str], limit: int) -> Sequence[Launch]:
        return await self._sql.writer.run(_holders, quota, every_s, but, limit)


def _due(connection: Connection, launch_id: str) -> Sequence[Attempt]:
    rows = connection.execute(_DUE_OF_LAUNCH, {"of_launch": launch_id, "now": now(connection)})
    return [attempt_of(row) for row in rows]


def _mark_cleaned(connection: Connection, attempt: Attempt, fence: int, again_in_s: float | None) -> bool:
    """Return whether the launch no longer relied on this attempt. Raises LaunchNotFound or LeaseLost."""
    at = now(connection)
    end = lock_end(connection, attempt.launch_id, fence)
    key = {"of_launch": attempt.launch_id, "of_number": attempt.number, "now": at}
    if connection.execute(_MARK_CLEANED, {**key, "clean_at": _after(at, again_in_s)}).rowcount != 1:
        raise LaunchNotFound
    return end.attempt != attempt.number or end.status not in (Status.WAITING, Status.LAUNCHING)


def _mark_stopped(
    connection: Connection, launch_id: str, fence: int, stopped_by: str, clean_in_s: float | None
) -> None:
    end, at = lock_end(connection, launch_id, fence), now(connection)
    if end.status is not Status.READY:
        raise ValueError(f"launch {launch_id} is {end.status}, so it cannot become stopped")
    stopped = {"status": Status.STOPPED.value, "stopped_at": at, "stopped_by": stopped_by}
    connection.execute(UPDATE_LAUNCH, {"of_launch": launch_id, **stopped})
    connection.execute(FORGET_ARGS, {"launch_ids": [launch_id]})
    key = end.attempt_key()
    if clean_in_s is None:
        connection.execute(_MARK_CLEANED, {**key, "now": at, "clean_at": None})
    else:
        connection.execute(MAKE_DUE, {**key, "clean_at": _after(at, clean_in_s)})


def _after(at: datetime, seconds: float | None) -> datetime | None:
    return None if seconds is None else at + timedelta(seconds=seconds)


def _ready_to_check(connection: Connection, every_s: float, limit: int) -> Sequence[Launch]:
    return unchecked(connection, every_s=every_s, limit=limit)


def _holders(
    connection: Connection, quota: Quota, every_s: float, but: Collection[str], limit: int
) -> Sequence[Launch]:
    at = now(connection)
    key = {"seen_before": at - timedelta(seconds=every_s), "but": list(but), "most": limit}
    return check(connection, _HOLDERS.where(is_counted(connection, quota)), key, at)
