"""Ownership of launches in SQL: leases, and the requests that owners carry out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, ScalarSelect, bindparam, delete, insert, select, union, update

from hublaunch.launch.caller import Caller
from hublaunch.launch.errors import LaunchNotFound
from hublaunch.launch.model import Launch, Status
from hublaunch.launch.news import Adopted, CancelRequested, NewsStream
from hublaunch.launch.ports import Admitted, Held
from hublaunch.store.append import UPDATE_LAUNCH
from hublaunch.store.coordination import WORK, notify, now
from hublaunch.store.reads import of_ids
from hublaunch.store.tables import IS_READY, Instant, launch_attempts, launch_owners, launches
from hublaunch.store.transactions import Transactions

_NOW = bindparam("now", type_=Instant)

# Each of these three has a small partial index, so a long history costs nothing.
_IN_PROGRESS = select(launches.c.id).where(launches.c.ended_at.is_(None))
_READY_BUT_CANCELLED = select(launches.c.id).where(launches.c.cancel_requested_at.is_not(None), IS_READY)
_DUE = select(launch_attempts.c.launch_id).where(launch_attempts.c.clean_at <= _NOW)
_UNFINISHED = launches.c.id.in_(union(_IN_PROGRESS, _READY_BUT_CANCELLED, _DUE))

_OWNERS = select(launch_owners.c.id)
_NEWER = select(launch_owners.c.id).where(
    launch_owners.c.id > bindparam("owner_id"), launch_owners.c.leased_until > _NOW
)
_HELD = select(
    launches.c.id,
    launches.c.fence,
    launches.c.cancel_requested_at,
    launches.c.admitted_at,
    launches.c.deadline_at,
).where(launches.c.owner == bindparam("owner_id"), _UNFINISHED)
_ORPHANED = (
    select(launches.c.id)
    .where(
        _UNFINISHED,
        launches.c.owner.is_(None) | launches.c.owner.not_in(_OWNERS),
    )
    .order_by(launches.c.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_RENEW = (
    update(launch_owners)
    .where(launch_owners.c.id == bindparam("owner_id"))
    .values(leased_until=bindparam("until", type_=Instant))
)
_ADOPT = (
    update(launches)
    .where(launches.c.id.in_(bindparam("launch_ids", expanding=True)))
    .values(owner=bindparam("new_owner"), fence=launches.c.fence + 1)
)
_RELEASE = delete(launch_owners).where(launch_owners.c.id == bindparam("owner_id"))
_BURY = delete(launch_owners).where(
    launch_owners.c.id.in_(
        select(launch_owners.c.id)
        .where(launch_owners.c.leased_until <= _NOW, launch_owners.c.id != bindparam("owner_id"))
        .with_for_update(skip_locked=True)
    )
)
_REQUEST_CANCEL = UPDATE_LAUNCH.where(launches.c.cancel_requested_at.is_(None)).values(cancel_requested_at=_NOW)
_CANCEL_IN_PROGRESS = _REQUEST_CANCEL.where(launches.c.ended_at.is_(None))
_EXISTS = select(launches.c.id).where(launches.c.id == bindparam("launch_id"))


def _of_launch(column: Any) -> ScalarSelect[Any]:
    return select(column).where(launches.c.id == bindparam("of_launch")).scalar_subquery()


_CLEAN_UP_AGAIN = (
    update(launch_attempts)
    .where(
        launch_attempts.c.launch_id == bindparam("of_launch"),
        launch_attempts.c.creates_user,  # on an existing account a later server may have the name
        (launch_attempts.c.number < _of_launch(launches.c.attempt))
        | _of_launch(launches.c.status).in_([Status.FAILED.value, Status.CANCELLED.value, Status.STOPPED.value]),
    )
    .values(clean_at=_NOW)
)


@dataclass(frozen=True, slots=True)
class Lease:
    """A process, and how long it counts as alive after its last renewal."""

    owner: str
    lease_s: float


class SqlOwnership:
    """The Ownership in SQL."""

    def __init__(self, sql: Transactions, news: NewsStream, lease: Lease) -> None:
        self._sql = sql
        self._news = news
        self.lease = lease

    async def renew(self) -> Sequence[Held]:
        return await self._sql.writer.run(_renew, self.lease)

    async def adopt(self, *, limit: int) -> Sequence[Launch]:
        def publish(launches: Sequence[Launch]) -> None:
            self._news.publish(Adopted(launches=launches))

        return await self._sql.writer.run(_adopt, self.lease, limit, on_stored=publish)

    async def release(self) -> None:
        await self._sql.writer.run(_release, self.lease.owner)

    async def clean_up_again(self, launch_id: str) -> None:
        await self._sql.writer.run(_clean_up_again, launch_id)

    async def request_cancel(self, launch_id: str, *, by: Caller | None = None) -> None:
        def publish(is_first: bool) -> None:
            if is_first:
                self._news.publish(CancelRequested(launch_id=launch_id, by=by))

        await self._sql.writer.run(_request_cancel, launch_id, on_stored=publish)


def is_newest(connection: Connection, owner: str) -> bool:
    """Return whether no living process has started after this one. The ids of processes are ULIDs."""
    return connection.execute(_NEWER, {"owner_id": owner, "now": now(connection)}).first() is None


def _renew(connection: Connection, lease: Lease) -> Sequence[Held]:
    at = now(connection)
    _extend(connection, lease, at)
    rows = connection.execute(_HELD, {"owner_id": lease.owner, "now": at})
    return [_held_of(row) for row in rows]


def _held_of(row: Any) -> Held:
    admitted = None
    if row.admitted_at is not None:
        admitted = Admitted(launch_id=row.id, admitted_at=row.admitted_at, deadline_at=row.deadline_at)
    return Held(
        launch_id=row.id,
        fence=row.fence,
        cancel_requested=row.cancel_requested_at is not None,
        admitted=admitted,
    )


def _extend(connection: Connection, lease: Lease, at: datetime) -> None:
    until = at + timedelta(seconds=lease.lease_s)
    if connection.execute(_RENEW, {"owner_id": lease.owner, "until": until}).rowcount != 1:
        connection.execute(insert(launch_owners), {"id": lease.owner, "leased_until": until})


def _adopt(connection: Connection, lease: Lease, limit: int) -> Sequence[Launch]:
    """Adopt launches without a living owner, oldest first. Return them.

    An owner is dead once its row is gone; the process that adopts removes the row. If one process renews its lease
    while another adopts, one waits for the other or skips the row, so both see the same result. An owner keeps its
    launches, however late it is, and finds them by `renew`.
    """
    at, owner = now(connection), lease.owner
    _extend(connection, lease, at)
    connection.execute(_BURY, {"now": at, "owner_id": owner})
    orphaned = connection.execute(_ORPHANED, {"now": at, "most": limit})
    launch_ids = [row.id for row in orphaned]
    if not launch_ids:
        return []
    connection.execute(_ADOPT, {"launch_ids": launch_ids, "new_owner": owner})
    return of_ids(connection, launch_ids)


def _release(connection: Connection, owner: str) -> None:
    connection.execute(_RELEASE, {"owner_id": owner})
    notify(connection, [WORK])


def _clean_up_again(connection: Connection, launch_id: str) -> None:
    connection.execute(_CLEAN_UP_AGAIN, {"of_launch": launch_id, "now": now(connection)})
    notify(connection, [WORK])


def _request_cancel(connection: Connection, launch_id: str) -> bool:
    """Return whether this is the first request."""
    noted = connection.execute(_REQUEST_CANCEL, {"of_launch": launch_id, "now": datetime.now(UTC)})
    is_first = noted.rowcount == 1
    if not is_first and connection.execute(_EXISTS, {"launch_id": launch_id}).first() is None:
        raise LaunchNotFound
    notify(connection, [WORK])
    return is_first


def cancel_in_progress(connection: Connection, launch_id: str) -> bool:
    """Request that a launch in progress be cancelled by its owner, on behalf of an operator.

    Return False, and change nothing, if it is ready or has ended, or if its cancellation was requested earlier.
    """
    noted = connection.execute(_CANCEL_IN_PROGRESS, {"of_launch": launch_id, "now": now(connection)})
    notify(connection, [WORK])
    return noted.rowcount == 1
