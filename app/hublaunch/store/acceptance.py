"""Accepting launches: each once for its key, within its quotas, one for a server at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from hublaunch.launch.acceptance.idempotency import IdempotencyKey
from hublaunch.launch.errors import AlreadyLaunching, AlreadyRunning, IdempotencyKeyReused, QueueFull, QuotaReached
from hublaunch.launch.model import Event, Launch
from hublaunch.launch.ports import Only
from hublaunch.launch.rules.queue_order import Weight
from hublaunch.launch.rules.quota import Quota
from hublaunch.store.displacement import displace
from hublaunch.store.quota_counts import active
from hublaunch.store.reads import page
from hublaunch.store.rows import attempt_row, event_row, launch_row
from hublaunch.store.tables import Instant, launch_attempts, launch_events, launches

LOCK = "acceptance"
"""Of the transactions that accept: what one counts, no other adds to before it is stored."""

_INSERT_LAUNCH = insert(launches)
_INSERT_IF_KEY_IS_NEW = {  # returns the row, as psycopg does not tell how many it has inserted
    "sqlite": sqlite.insert(launches).on_conflict_do_nothing(index_elements=["key_scope"]).returning(launches.c.id),
    "postgresql": postgresql.insert(launches)
    .on_conflict_do_nothing(index_elements=["key_scope"])
    .returning(launches.c.id),
}
_INSERT_ATTEMPT = insert(launch_attempts)
_INSERT_EVENT = insert(launch_events)

_FORGET_KEY = (
    update(launches)
    .where(
        launches.c.key_scope == bindparam("of_key"),
        launches.c.created_at < bindparam("kept_since", type_=Instant),
        launches.c.ended_at.is_not(None),
    )
    .values(key_scope=None, key_request=None)
)
_OF_KEY = select(launches.c.id, launches.c.key_request).where(launches.c.key_scope == bindparam("of_key"))
_COUNT_UNDER_WAY = select(func.count()).where(launches.c.ended_at.is_(None))
_OTHER_UNDER_WAY_FOR = (
    select(launches.c.id)
    .join(
        launch_attempts,
        (launch_attempts.c.launch_id == launches.c.id) & (launch_attempts.c.number == launches.c.attempt),
    )
    .where(
        launches.c.id != bindparam("launch_id"),
        launches.c.ended_at.is_(None),
        launch_attempts.c.username == bindparam("username"),
        launch_attempts.c.server_name == bindparam("server_name"),
    )
    .limit(1)
)
_TO_CLEAN_UP_OF = (
    select(launch_attempts.c.launch_id)
    .where(
        launch_attempts.c.launch_id != bindparam("launch_id"),
        launch_attempts.c.clean_at.is_not(None),
        launch_attempts.c.cleaned_at.is_(None),
        launch_attempts.c.username == bindparam("username"),
        launch_attempts.c.server_name == bindparam("server_name"),
    )
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class Accept:
    """A launch to be accepted by this owner, the key that came with it, and what it has to keep to."""

    launch: Launch
    key: IdempotencyKey | None
    owner: str
    key_kept_s: float
    only: Only | None
    quotas: Sequence[Quota]
    most_under_way: int | None
    weight: Weight


@dataclass(frozen=True, slots=True)
class Accepted:
    """The first event of a launch that was stored; None, and the id of another one, if its key was known."""

    launch_id: str
    event: Event | None
    displaced: Event | None = None
    """The last event of the launch that made room for it, if one did."""


def accept(connection: Connection, accepts: Sequence[Accept]) -> Sequence[Accepted]:
    """Store launches, each with its attempt and its first event, under LOCK.

    Where the queue is full, other launches make room. IdempotencyKeyReused, AlreadyRunning, AlreadyLaunching,
    QuotaReached, QueueFull.
    """
    outcomes = [_insert_keyed(connection, accept) if accept.key else _first_event(accept) for accept in accepts]
    if unkeyed := [_row(accept) for accept in accepts if accept.key is None]:
        connection.execute(_INSERT_LAUNCH, unkeyed)
    new = [accept for accept, outcome in zip(accepts, outcomes, strict=True) if outcome.event is not None]
    if new:
        stored = [accept.launch for accept in new]
        attempts = [attempt_row(launch.attempt, launch.created_at, launch.cleaned_at) for launch in stored]
        connection.execute(_INSERT_ATTEMPT, attempts)
        connection.execute(_INSERT_EVENT, [event_row(launch.last_event) for launch in stored])
        _check_only(connection, new)
        _check_servers(connection, stored)
        displaced = _make_room(connection, new)
        _check_quotas(connection, new)
        outcomes = [replace(outcome, displaced=displaced.get(outcome.launch_id)) for outcome in outcomes]
    return outcomes


def _first_event(accept: Accept) -> Accepted:
    return Accepted(accept.launch.id, accept.launch.last_event)


def _row(accept: Accept) -> dict[str, Any]:
    key = accept.key
    keyed = {"key_scope": key.scope, "key_request": key.request} if key else {"key_scope": None, "key_request": None}
    return {**launch_row(accept.launch), "owner": accept.owner, **keyed}


def _insert_keyed(connection: Connection, accept: Accept) -> Accepted:
    """Store a launch under its key, or find the one that has the key already.

    The unique index decides, so that of two that come at once, to whatever processes, one is stored. The other waits
    for its transaction to end.
    """
    assert accept.key is not None
    kept_since = datetime.now(UTC) - timedelta(seconds=accept.key_kept_s)
    connection.execute(_FORGET_KEY, {"of_key": accept.key.scope, "kept_since": kept_since})
    insert_if_new = _INSERT_IF_KEY_IS_NEW[connection.dialect.name]
    if connection.execute(insert_if_new, _row(accept)).first():
        return _first_event(accept)
    earlier = connection.execute(_OF_KEY, {"of_key": accept.key.scope}).one()
    if earlier.key_request != accept.key.request:
        raise IdempotencyKeyReused
    return Accepted(earlier.id, None)


def _check_only(connection: Connection, accepts: Sequence[Accept]) -> None:
    """What is stored by now is checked, here and below: LOCK keeps others from adding to it."""
    for accept in accepts:
        if accept.only is None:
            continue
        for launch in page(connection, accept.only.wanted, accept.only.most):
            if launch.id != accept.launch.id and accept.only.counts(launch):
                raise AlreadyRunning(launch.id)


def _check_servers(connection: Connection, accepted: Sequence[Launch]) -> None:
    for launch in accepted:
        attempt = launch.attempt
        key = {"launch_id": launch.id, "username": attempt.username, "server_name": attempt.server_name}
        if not attempt.creates_user and (
            connection.execute(_OTHER_UNDER_WAY_FOR, key).first() or connection.execute(_TO_CLEAN_UP_OF, key).first()
        ):
            raise AlreadyLaunching


def _check_quotas(connection: Connection, accepts: Sequence[Accept]) -> None:
    for quota in dict.fromkeys(quota for accept in accepts for quota in accept.quotas):
        count = active(connection, quota)
        if count > quota.most:
            raise QuotaReached(quota, active=count - 1)  # who is refused is alone in the batch by then


def _make_room(connection: Connection, accepts: Sequence[Accept]) -> Mapping[str, Event]:
    """End as many launches as are too many; the last event of each, by the launch that it made room for. QueueFull."""
    most = min((accept.most_under_way for accept in accepts if accept.most_under_way is not None), default=None)
    if most is None:
        return {}
    excess = connection.execute(_COUNT_UNDER_WAY).scalar_one() - most
    if excess <= 0:
        return {}
    newcomers = [accept.launch for accept in accepts]
    displaced = displace(connection, newcomers, excess, weight=accepts[0].weight, owner=accepts[0].owner)
    if displaced is None:
        _check_quotas(connection, accepts)
        raise QueueFull(most)
    return displaced
