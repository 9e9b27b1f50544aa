"""The ends of sessions in SQL. A partial index holds just the ready launches with an end, in order of their ends."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, func, insert, select, update

from hublaunch.launch.caller import Caller
from hublaunch.launch.errors import IdempotencyKeyReused, LaunchNotFound, NothingToExtend, SessionLimitReached
from hublaunch.launch.model import Status
from hublaunch.launch.news import NewsStream, SessionEnded, SessionExtended, SessionWarned
from hublaunch.launch.ports import Extension
from hublaunch.launch.rules.session import SessionTerms
from hublaunch.store.append import UPDATE_LAUNCH
from hublaunch.store.coordination import WORK, notify, now
from hublaunch.store.tables import IS_READY, Instant, launch_extensions, launches
from hublaunch.store.transactions import Transactions

_ENDING = (
    select(launches.c.id, launches.c.will_end_at)
    .where(
        IS_READY,
        launches.c.will_end_at <= bindparam("before", type_=Instant),
        launches.c.cancel_requested_at.is_(None),
    )
    .order_by(launches.c.will_end_at)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_UNWARNED = _ENDING.where(launches.c.end_warned_at.is_(None))
_OF_IDS = update(launches).where(launches.c.id.in_(bindparam("launch_ids", expanding=True)))
_WARN = _OF_IDS.values(end_warned_at=bindparam("now", type_=Instant))
_END = _OF_IDS.values(cancel_requested_at=bindparam("now", type_=Instant))
_NEXT = select(func.min(launches.c.will_end_at, type_=Instant)).where(
    IS_READY, launches.c.will_end_at.is_not(None), launches.c.cancel_requested_at.is_(None)
)
_SESSION = (
    select(launches.c.status, launches.c.ended_at, launches.c.will_end_at, launches.c.cancel_requested_at)
    .where(launches.c.id == bindparam("launch_id"))
    .with_for_update()
)
_SECONDS_OF_KEY = select(launch_extensions.c.seconds).where(
    launch_extensions.c.launch_id == bindparam("launch_id"), launch_extensions.c.key == bindparam("key")
)
_KEEP_KEY = insert(launch_extensions)


class SqlSessionEnds:
    """The SessionEnds in SQL."""

    def __init__(self, sql: Transactions, news: NewsStream) -> None:
        self._sql = sql
        self._news = news

    async def warn(self, *, before_s: float, limit: int) -> int:
        warned = await self._sql.writer.run(_warn, before_s, limit, on_stored=self._publish)
        return len(warned)

    async def end(self, *, limit: int) -> int:
        ended = await self._sql.writer.run(_end, limit, on_stored=self._publish)
        return len(ended)

    async def next_in_s(self) -> float | None:
        return await self._sql.read(_next_in_s)

    async def extend(self, extension: Extension, *, terms: SessionTerms, by: Caller) -> None:
        await self._sql.writer.run(_extend, extension, terms, by, on_stored=self._publish)

    def _publish(self, told: Sequence[SessionWarned | SessionEnded | SessionExtended]) -> None:
        for news in told:
            self._news.publish(news)


def _warn(connection: Connection, before_s: float, limit: int) -> Sequence[SessionWarned]:
    at = now(connection)
    rows = connection.execute(_UNWARNED, {"before": at + timedelta(seconds=before_s), "most": limit}).all()
    if rows:
        connection.execute(_WARN, {"launch_ids": [row.id for row in rows], "now": at})
    return [SessionWarned(launch_id=row.id, will_end_at=row.will_end_at) for row in rows]


def _end(connection: Connection, limit: int) -> Sequence[SessionEnded]:
    at = now(connection)
    launch_ids = [row.id for row in connection.execute(_ENDING, {"before": at, "most": limit})]
    if launch_ids:
        connection.execute(_END, {"launch_ids": launch_ids, "now": at})
        notify(connection, [WORK])
    return [SessionEnded(launch_id=launch_id) for launch_id in launch_ids]


def _next_in_s(connection: Connection) -> float | None:
    at: datetime | None = connection.execute(_NEXT).scalar_one()
    return None if at is None else (at - now(connection)).total_seconds()


def _extend(connection: Connection, extension: Extension, terms: SessionTerms, by: Caller) -> Sequence[SessionExtended]:
    of_launch = {"launch_id": extension.launch_id}
    session = connection.execute(_SESSION, of_launch).one_or_none()
    if session is None:
        raise LaunchNotFound
    if extension.key is not None:
        known = connection.execute(_SECONDS_OF_KEY, {**of_launch, "key": extension.key}).scalar_one_or_none()
        if known is not None and known != extension.seconds:
            raise IdempotencyKeyReused
        if known is not None:
            return []
    is_stopping = session.status != Status.READY.value or session.cancel_requested_at is not None
    if is_stopping or session.will_end_at is None or session.will_end_at <= now(connection):
        raise NothingToExtend(is_ready=not is_stopping and session.will_end_at is None)
    will_end_at = session.will_end_at + timedelta(seconds=extension.seconds)
    latest = terms.latest_end(session.ended_at)
    if latest is None or will_end_at > latest:
        raise SessionLimitReached(latest)
    extended = {"of_launch": extension.launch_id, "will_end_at": will_end_at, "end_warned_at": None}
    connection.execute(UPDATE_LAUNCH, extended)
    if extension.key is not None:
        connection.execute(_KEEP_KEY, {**of_launch, "key": extension.key, "seconds": extension.seconds})
    return [SessionExtended(launch_id=extension.launch_id, seconds=extension.seconds, will_end_at=will_end_at, by=by)]
