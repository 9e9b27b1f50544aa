"""Reads of launches. Each function is one statement, so its result is consistent."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, select

from hublaunch.launch.acceptance.idempotency import IdempotencyKey
from hublaunch.launch.errors import IdempotencyKeyReused
from hublaunch.launch.model import Event, Launch, Status
from hublaunch.launch.ports import LaunchFilter
from hublaunch.store.rows import EVENT_COLUMNS, LAUNCH_COLUMNS, event_of, launch_of
from hublaunch.store.tables import (
    IS_ACTIVE,
    IS_LAST,
    IS_LATEST,
    IS_MEMBER,
    Instant,
    launch_attempts,
    launch_events,
    launches,
)

_LAUNCHES = select(*LAUNCH_COLUMNS).join(launch_attempts, IS_LATEST).join(launch_events, IS_LAST)
_LAUNCH = _LAUNCHES.where(launches.c.id == bindparam("launch_id"))
_NEWEST_FIRST = _LAUNCHES.order_by(launches.c.id.desc())
_EVENTS = (
    select(*EVENT_COLUMNS)
    .where(launch_events.c.launch_id == bindparam("launch_id"), launch_events.c.seq > bindparam("after"))
    .order_by(launch_events.c.seq)
)

_SILENT = _LAUNCHES.where(
    launches.c.ended_at.is_(None),
    launches.c.status == Status.LAUNCHING.value,
    launches.c.owner == bindparam("owner"),
    launches.c.cancel_requested_at.is_(None),
    launch_events.c.attempt == launches.c.attempt,  # this attempt has asked the Hub
    launch_events.c.stalled_since.is_(None),
    launch_events.c.at <= bindparam("heard_before", type_=Instant),
).order_by(launches.c.id)
_IN_PROGRESS = (
    _LAUNCHES.where(launches.c.ended_at.is_(None))
    .order_by(launches.c.admitted_at.is_(None), launches.c.id)
    .limit(bindparam("most"))
)
_OF_IDS = _LAUNCHES.where(launches.c.id.in_(bindparam("launch_ids", expanding=True))).order_by(launches.c.id)
_ENDS = select(launches.c.id, launches.c.last_seq).where(launches.c.id.in_(bindparam("launch_ids", expanding=True)))


def get(connection: Connection, launch_id: str) -> Launch | None:
    """Return the launch, or None."""
    row = connection.execute(_LAUNCH, {"launch_id": launch_id}).one_or_none()
    return None if row is None else launch_of(row)


def of_ids(connection: Connection, launch_ids: Collection[str]) -> Sequence[Launch]:
    """Return these launches, oldest first."""
    if not launch_ids:
        return []
    return [launch_of(row) for row in connection.execute(_OF_IDS, {"launch_ids": list(launch_ids)})]


def in_progress(connection: Connection, most: int) -> Sequence[Launch]:
    """Return launches in progress: first those at the Hub, then the queue, the oldest of each first."""
    return [launch_of(row) for row in connection.execute(_IN_PROGRESS, {"most": most})]


def find(connection: Connection, key: IdempotencyKey, kept_since: datetime) -> Launch | None:
    """Return the launch accepted with this key. Raises IdempotencyKeyReused if its request was a different one."""
    row = connection.execute(_LAUNCHES.where(launches.c.key_scope == key.scope)).one_or_none()
    if row is None or (row.ended_at is not None and row.created_at < kept_since):
        return None
    if row.key_request != key.request:
        raise IdempotencyKeyReused
    return launch_of(row)


def page(connection: Connection, selected: LaunchFilter, limit: int | None) -> Sequence[Launch]:
    """Return the selected launches, newest first, without members of warm pools."""
    equal = [
        (launches.c.status, selected.status and selected.status.value),
        (launches.c.repo_url, selected.repo_url),
        (launches.c.image, selected.image),
        (launches.c.environment, selected.environment),
        (launches.c.image_name, selected.image_name),
        (launch_attempts.c.username, selected.username),
    ]
    query = _NEWEST_FIRST.limit(limit).where(*(column == value for column, value in equal if value is not None))
    query = query.where(~IS_MEMBER)
    if selected.caller is not None:
        query = query.where(
            launches.c.caller_kind == selected.caller.kind, launches.c.caller_key == selected.caller.key
        )
    if selected.is_active or selected.status in (Status.WAITING, Status.LAUNCHING, Status.READY):
        query = query.where(IS_ACTIVE)  # uses the indexes of active launches
    if selected.repo_name is not None:
        query = query.where(launches.c.repo_name == (selected.repo_name or None))
    if selected.since is not None:
        query = query.where(launches.c.created_at >= selected.since)
    if selected.before is not None:
        query = query.where(launches.c.id < selected.before)
    return [launch_of(row) for row in connection.execute(query)]


def events(connection: Connection, launch_id: str, after: int) -> Sequence[Event]:
    """Return the launch's events above `after`, in order."""
    return [event_of(row) for row in connection.execute(_EVENTS, {"launch_id": launch_id, "after": after})]


def ends(connection: Connection, launch_ids: Collection[str]) -> Mapping[str, int]:
    """Return the last `seq` of each of these launches."""
    return {row.id: row.last_seq for row in connection.execute(_ENDS, {"launch_ids": list(launch_ids)})}


def silent(connection: Connection, owner: str, heard_before: datetime) -> Sequence[Launch]:
    """Return the owner's launches at the Hub whose last event came before `heard_before`, and reports no stall."""
    key = {"owner": owner, "heard_before": heard_before}
    return [launch_of(row) for row in connection.execute(_SILENT, key)]
