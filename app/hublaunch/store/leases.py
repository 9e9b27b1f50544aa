"""Which process has which launch."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, ScalarSelect, bindparam, delete, insert, select, union, update

from hublaunch.launch.model import Attempt, Launch, Status
from hublaunch.launch.ports import Admitted, Held
from hublaunch.store.pg import WORK, notify, now
from hublaunch.store.reads import of_ids
from hublaunch.store.rows import ATTEMPT_COLUMNS, attempt_of
from hublaunch.store.tables import IS_READY, Instant, launch_attempts, launch_owners, launches

_NOW = bindparam("now", type_=Instant)

# Each of the three has an index that holds little else, so a long history costs nothing.
_UNDER_WAY = select(launches.c.id).where(launches.c.ended_at.is_(None))
_READY_BUT_CANCELLED = select(launches.c.id).where(launches.c.cancel_requested_at.is_not(None), IS_READY)
_DUE = select(launch_attempts.c.launch_id).where(launch_attempts.c.clean_at <= _NOW)
_UNFINISHED = launches.c.id.in_(union(_UNDER_WAY, _READY_BUT_CANCELLED, _DUE))

_OWNERS = select(launch_owners.c.id)
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


def _of_launch(column: Any) -> ScalarSelect[Any]:
    return select(column).where(launches.c.id == bindparam("of_launch")).scalar_subquery()


_DOUBT = (
    update(launch_attempts)
    .where(
        launch_attempts.c.launch_id == bindparam("of_launch"),
        launch_attempts.c.creates_user,  # on an account that was there before a later server may have the name
        (launch_attempts.c.number < _of_launch(launches.c.attempt))
        | _of_launch(launches.c.status).in_([Status.FAILED.value, Status.CANCELLED.value, Status.STOPPED.value]),
    )
    .values(clean_at=_NOW)
)
_DUE_OF_LAUNCH = (
    select(*ATTEMPT_COLUMNS)
    .where(launch_attempts.c.launch_id == bindparam("of_launch"), launch_attempts.c.clean_at <= _NOW)
    .order_by(launch_attempts.c.number)
)


@dataclass(frozen=True, slots=True)
class Lease:
    """A process, and for how long it lives without a further sign of life."""

    owner: str
    lease_s: float


@dataclass(frozen=True, slots=True)
class Adoption:
    """A process that takes over at most so many launches."""

    lease: Lease
    limit: int


def hold(connection: Connection, leases: Sequence[Lease]) -> Sequence[Sequence[Held]]:
    """Renew leases, and give what each owner has to bring to its end."""
    return [_hold(connection, lease) for lease in leases]


def _hold(connection: Connection, lease: Lease) -> Sequence[Held]:
    at = now(connection)
    _renew(connection, lease, at)
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


def _renew(connection: Connection, lease: Lease, at: datetime) -> None:
    until = at + timedelta(seconds=lease.lease_s)
    if connection.execute(_RENEW, {"owner_id": lease.owner, "until": until}).rowcount != 1:
        connection.execute(insert(launch_owners), {"id": lease.owner, "leased_until": until})


def adopt(connection: Connection, adoptions: Sequence[Adoption]) -> Sequence[Sequence[Launch]]:
    """Give unfinished launches without a living owner a new one, and what each got."""
    return [_adopt(connection, adoption) for adoption in adoptions]


def _adopt(connection: Connection, adoption: Adoption) -> Sequence[Launch]:
    """An owner is dead once its row is gone, which whoever takes over removes.

    So of one that renews its lease and one that takes over at the same moment, one waits for the other or passes it
    by, and both see the same of it. What an owner has it keeps, however late it is, and finds by `hold`.
    """
    at, owner = now(connection), adoption.lease.owner
    _renew(connection, adoption.lease, at)
    connection.execute(_BURY, {"now": at, "owner_id": owner})
    orphaned = connection.execute(_ORPHANED, {"now": at, "most": adoption.limit})
    launch_ids = [row.id for row in orphaned]
    if not launch_ids:
        return []
    connection.execute(_ADOPT, {"launch_ids": launch_ids, "new_owner": owner})
    return of_ids(connection, launch_ids)


def release(connection: Connection, owners: Sequence[str]) -> Sequence[None]:
    """End leases at once, and tell others that there is something to adopt."""
    for owner in owners:
        connection.execute(_RELEASE, {"owner_id": owner})
    notify(connection, [WORK])
    return [None] * len(owners)


def release_all(connection: Connection) -> None:
    """End every lease: whoever has the database to itself knows that no other owner lives."""
    connection.execute(delete(launch_owners))


def doubt(connection: Connection, launch_ids: Sequence[str]) -> Sequence[None]:
    """Make attempts due that their launch does not stand on."""
    for launch_id in launch_ids:
        connection.execute(_DOUBT, {"of_launch": launch_id, "now": now(connection)})
    notify(connection, [WORK])
    return [None] * len(launch_ids)


def due(connection: Connection, launch_id: str) -> Sequence[Attempt]:
    """The attempts of a launch that are due to be cleaned up."""
    rows = connection.execute(_DUE_OF_LAUNCH, {"of_launch": launch_id, "now": now(connection)})
    return [attempt_of(row) for row in rows]
