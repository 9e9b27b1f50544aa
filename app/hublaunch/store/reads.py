"""What is read. Each function is one statement, so that what it gives belongs together."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, select

from hublaunch.launch.acceptance.idempotency import IdempotencyKey
from hublaunch.launch.errors import IdempotencyKeyReused
from hublaunch.launch.model import Event, Launch, Status
from hublaunch.launch.ports import Wanted
from hublaunch.store.rows import EVENT_COLUMNS, LAUNCH_COLUMNS, event_of, launch_of
from hublaunch.store.tables import IS_ACTIVE, launch_attempts, launch_events, launches

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

_OF_IDS = _LAUNCHES.where(launches.c.id.in_(bindparam("launch_ids", expanding=True))).order_by(launches.c.id)
_ENDS = select(launches.c.id, launches.c.last_seq).where(launches.c.id.in_(bindparam("launch_ids", expanding=True)))


def get(connection: Connection, launch_id: str) -> Launch | None:
    """The launch as it stands."""
    row = connection.execute(_LAUNCH, {"launch_id": launch_id}).one_or_none()
    return None if row is None else launch_of(row)


def of_ids(connection: Connection, launch_ids: Collection[str]) -> Sequence[Launch]:
    """These launches as they stand, oldest first."""
    return [launch_of(row) for row in connection.execute(_OF_IDS, {"launch_ids": list(launch_ids)})]


def find(connection: Connection, key: IdempotencyKey, kept_since: datetime) -> Launch | None:
    """The launch that was accepted with this key; IdempotencyKeyReused if that was for another request."""
    row = connection.execute(_LAUNCHES.where(launches.c.key_scope == key.scope)).one_or_none()
    if row is None or (row.ended_at is not None and row.created_at < kept_since):
        return None
    if row.key_request != key.request:
        raise IdempotencyKeyReused
    return launch_of(row)


def page(connection: Connection, wanted: Wanted, limit: int | None) -> Sequence[Launch]:
    """Launches, the newest first."""
    equal = [
        (launches.c.status, wanted.status and wanted.status.value),
        (launches.c.repo_url, wanted.repo_url),
        (launches.c.image, wanted.image),
        (launches.c.image_name, wanted.image_name),
        (launch_attempts.c.username, wanted.username),
    ]
    query = _NEWEST_FIRST.limit(limit).where(*(column == value for column, value in equal if value is not None))
    if wanted.caller is not None:
        query = query.where(launches.c.caller_kind == wanted.caller.kind, launches.c.caller_key == wanted.caller.key)
    if wanted.is_active or wanted.status in (Status.WAITING, Status.LAUNCHING, Status.READY):
        query = query.where(IS_ACTIVE)  # for the indexes that have those alone
    if wanted.repo_name is not None:
        query = query.where(launches.c.repo_name == (wanted.repo_name or None))
    if wanted.since is not None:
        query = query.where(launches.c.created_at >= wanted.since)
    if wanted.before is not None:
        query = query.where(launches.c.id < wanted.before)
    return [launch_of(row) for row in connection.execute(query)]


def events(connection: Connection, launch_id: str, after: int) -> Sequence[Event]:
    """The launch's events above `after`, in order."""
    return [event_of(row) for row in connection.execute(_EVENTS, {"launch_id": launch_id, "after": after})]


def ends(connection: Connection, launch_ids: Collection[str]) -> Mapping[str, int]:
    """The last `seq` of each of these launches."""
    return {row.id: row.last_seq for row in connection.execute(_ENDS, {"launch_ids": list(launch_ids)})}
