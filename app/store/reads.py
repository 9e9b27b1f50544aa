"""What is read. Each function is one statement, so that what it gives belongs together."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, select, union

from app.launch.model import Caller, Event, Launch, Status
from app.store.rows import EVENT_COLUMNS, LAUNCH_COLUMNS, event_of, launch_of
from app.store.tables import launch_attempts, launch_events, launches

_IS_LATEST = (launch_attempts.c.launch_id == launches.c.id) & (launch_attempts.c.number == launches.c.attempt)
_IS_LAST = (launch_events.c.launch_id == launches.c.id) & (launch_events.c.seq == launches.c.last_seq)

_LAUNCHES = select(*LAUNCH_COLUMNS).join(launch_attempts, _IS_LATEST).join(launch_events, _IS_LAST)
_LAUNCH = _LAUNCHES.where(launches.c.id == bindparam("launch_id"))
_NEWEST_FIRST = _LAUNCHES.order_by(launches.c.id.desc())
_EVENTS = (
    select(*EVENT_COLUMNS)
    .where(launch_events.c.launch_id == bindparam("launch_id"), launch_events.c.seq > bindparam("after"))
    .order_by(launch_events.c.seq)
)

# Each of the three has an index that holds little else, so a long history costs nothing.
_UNDER_WAY = select(launches.c.id).where(launches.c.ended_at.is_(None))
_READY_BUT_CANCELLED = select(launches.c.id).where(
    launches.c.cancel_requested_at.is_not(None), launches.c.status == Status.READY.value
)
_ENDED_BUT_NOT_CLEANED = (
    select(launches.c.id)
    .join(launch_attempts, _IS_LATEST)
    .where(launch_attempts.c.cleaned_at.is_(None), launches.c.status != Status.READY.value)
)
_UNFINISHED = _LAUNCHES.where(
    launches.c.id.in_(union(_UNDER_WAY, _READY_BUT_CANCELLED, _ENDED_BUT_NOT_CLEANED))
).order_by(launches.c.id)


def get(connection: Connection, launch_id: str) -> Launch | None:
    """The launch as it stands."""
    row = connection.execute(_LAUNCH, {"launch_id": launch_id}).one_or_none()
    return None if row is None else launch_of(row)


def page(
    connection: Connection, caller: Caller | None, status: Status | None, before: str | None, limit: int | None
) -> Sequence[Launch]:
    """Launches, the newest first: a caller's or everybody's, of one status or any, older than `before`."""
    query = _NEWEST_FIRST.limit(limit)
    if caller is not None:
        query = query.where(launches.c.caller_kind == caller.kind, launches.c.caller_key == caller.key)
    if status is not None:
        query = query.where(launches.c.status == status.value)
    if before is not None:
        query = query.where(launches.c.id < before)
    return [launch_of(row) for row in connection.execute(query)]


def events(connection: Connection, launch_id: str, after: int) -> Sequence[Event]:
    """The launch's events above `after`, in order."""
    return [event_of(row) for row in connection.execute(_EVENTS, {"launch_id": launch_id, "after": after})]


def unfinished(connection: Connection) -> Sequence[Launch]:
    """Launches to go on with, or to clean up after, oldest first."""
    return [launch_of(row) for row in connection.execute(_UNFINISHED)]
