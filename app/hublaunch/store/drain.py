"""Draining in SQL: new launches are refused, the queue is held, and launches that are active can be stopped.

`hublaunch drain` writes here while the service runs. The transactions that accept and admit launches read
`draining_since`, so the change applies to all processes at once. The owners of the launches do the rest.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, func, select, update

from hublaunch.store.coordination import WORK, lock, notify, now
from hublaunch.store.tables import IS_QUEUED, IS_READY, Instant, admission, launch_attempts, launch_owners, launches

ACCEPTANCE, ADMISSION = "acceptance", "admission"
"""The locks that serialize acceptance and admission across processes."""

_NOW = bindparam("now", type_=Instant)
_SINCE = select(admission.c.draining_since)
_START = update(admission).where(admission.c.draining_since.is_(None)).values(draining_since=_NOW)
_END = update(admission).where(admission.c.draining_since.is_not(None)).values(draining_since=None)

_STARTING = launches.c.ended_at.is_(None) & ~IS_QUEUED  # also with a warm server, which was never admitted
_AT_HUB = _STARTING | IS_READY
_UNCLEAN = launch_attempts.c.clean_at.is_not(None)
_STOP_QUEUED = (
    update(launches).where(IS_QUEUED, launches.c.cancel_requested_at.is_(None)).values(cancel_requested_at=_NOW)
)
_BEING_STOPPED = select(func.count()).where(_AT_HUB, launches.c.cancel_requested_at.is_not(None))
_TO_STOP = (
    select(launches.c.id)
    .where(_AT_HUB, launches.c.cancel_requested_at.is_(None))
    .order_by(launches.c.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_STOP = (
    update(launches)
    .where(launches.c.id.in_(bindparam("launch_ids", expanding=True)))
    .values(cancel_requested_at=_NOW, stopped_by="operator")
)
_CLEAN_UP_NOW = (
    update(launch_attempts)
    .where(launch_attempts.c.clean_at > _NOW, launch_attempts.c.cleaned_at.is_(None))
    .values(clean_at=_NOW)
)
"""Users of servers that are gone, which wait for LAUNCHER_CULL_AFTER_S. A second clean-up keeps its time."""


_LEFT = select(
    _SINCE.scalar_subquery().label("draining_since"),
    select(func.count()).where(IS_QUEUED).scalar_subquery().label("waiting"),
    select(func.count()).where(_STARTING).scalar_subquery().label("launching"),
    select(func.count()).where(IS_READY).scalar_subquery().label("ready"),
    select(func.count(launch_attempts.c.launch_id.distinct())).where(_UNCLEAN).scalar_subquery().label("to_clean_up"),
    select(func.count()).where(launch_owners.c.leased_until > _NOW).scalar_subquery().label("processes"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Left:
    """What is left of the launches of a service."""

    draining_since: datetime | None
    """When new launches began to be refused; None once somebody has ended the drain."""
    waiting: int
    launching: int
    """Launches at the Hub."""
    ready: int
    to_clean_up: int
    """Launches that have left a user, a server or a token at the Hub, as far as is known."""
    processes: int
    """Processes of hublaunch on this database, by their leases."""


def draining_since(connection: Connection) -> datetime | None:
    """Return since when new launches have been refused; None while they are accepted."""
    since: datetime | None = connection.execute(_SINCE).scalar_one()
    return since


def start(connection: Connection) -> bool:
    """Refuse new launches and hold the queue from now on. Return whether this changed anything."""
    lock(connection, [ACCEPTANCE, ADMISSION])
    return connection.execute(_START, {"now": now(connection)}).rowcount == 1


def end(connection: Connection) -> bool:
    """Accept launches again. Return whether this changed anything."""
    changed = connection.execute(_END).rowcount == 1
    notify(connection, [WORK])
    return changed


def stop_active(connection: Connection, *, most: int) -> None:
    """Request that active launches be cancelled: all in the queue, and of the others `most` at the same time.

    Their owners stop the servers, and then delete the temporary users. Users of servers that are gone are due now.
    Does nothing once the drain has ended, so that no launch that was accepted afterwards is stopped.
    """
    lock(connection, [ACCEPTANCE])
    if draining_since(connection) is None:
        return
    at = now(connection)
    connection.execute(_STOP_QUEUED, {"now": at})
    connection.execute(_CLEAN_UP_NOW, {"now": at})
    further = most - connection.execute(_BEING_STOPPED).scalar_one()
    launch_ids = [row.id for row in connection.execute(_TO_STOP, {"most": max(0, further)})]
    if launch_ids:
        connection.execute(_STOP, {"launch_ids": launch_ids, "now": at})
    notify(connection, [WORK])


def left(connection: Connection) -> Left:
    """Count what remains, over all processes."""
    return Left(**connection.execute(_LEFT, {"now": now(connection)}).one()._asdict())
