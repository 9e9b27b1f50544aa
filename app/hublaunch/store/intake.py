"""Accepting launches in SQL: each once for its key, within its quotas, one at a time for each server."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from hublaunch.launch.acceptance.idempotency import IdempotencyKey
from hublaunch.launch.errors import (
    AlreadyLaunching,
    AlreadyRunning,
    IdempotencyKeyReused,
    QueueFull,
    QuotaReached,
    ServiceDraining,
    StorageFull,
)
from hublaunch.launch.model import Event, Launch
from hublaunch.launch.news import Accepted, NewsStream, WorkLeft
from hublaunch.launch.ports import Unless
from hublaunch.launch.rules.queue_order import Weight, equal
from hublaunch.launch.rules.quota import Quota, Scope
from hublaunch.store import drain, pool_claims, pool_members, reads
from hublaunch.store.displacement import displace
from hublaunch.store.quota_counts import active
from hublaunch.store.rows import attempt_row, event_row, launch_row
from hublaunch.store.space import Space, says_full
from hublaunch.store.tables import IS_LATEST, IS_MEMBER, Instant, launch_attempts, launch_events, launches
from hublaunch.store.transactions import Transactions

_INSERT_LAUNCH = insert(launches)
_INSERT_IF_KEY_IS_NEW = {  # returns the row, because psycopg does not report the number of inserted rows
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
_COUNT_IN_PROGRESS = select(func.count()).where(
    launches.c.ended_at.is_(None), ~IS_MEMBER, launches.c.claimed_from.is_(None)
)
"""Neither members of warm pools nor launches that have claimed one need a place in the queue."""
_IN_PROGRESS_FOR = (
    select(launches.c.id)
    .join(launch_attempts, IS_LATEST)
    .where(
        launches.c.id != bindparam("launch_id"),
        launches.c.ended_at.is_(None),
        launch_attempts.c.username == bindparam("username"),
        launch_attempts.c.server_name == bindparam("server_name"),
    )
    .limit(1)
)
_DUE_FOR = (
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
class _Accept:
    """A launch to be accepted, its new owner, the key that came with it, and the conditions of acceptance."""

    launch: Launch
    owner: str
    key: IdempotencyKey | None
    key_kept_s: float
    unless: Unless | None
    quotas: Sequence[Quota]
    in_progress_max: int | None
    weight: Weight


@dataclass(frozen=True, slots=True)
class _Answer:
    """The new launch with its first events, or the launch accepted earlier with the same key, without events."""

    launch_id: str
    launch: Launch | None = None
    """The new launch, with the server that it has claimed if there was one."""
    events: Sequence[Event] = ()
    displaced: Event | None = None
    """The last event of the launch that made room, if one did."""
    retired: int = 0
    """How many members of warm pools make room in the quota of all launches."""


class SqlIntake:
    """The Intake in SQL."""

    def __init__(self, sql: Transactions, news: NewsStream, space: Space, *, owner: str, key_kept_s: float) -> None:
        self._sql = sql
        self._news = news
        self._space = space
        self._owner = owner
        self._key_kept_s = key_kept_s

    async def accept(
        self,
        launch: Launch,
        key: IdempotencyKey | None = None,
        *,
        unless: Unless | None = None,
        quotas: Sequence[Quota] = (),
        in_progress_max: int | None = None,
        weight: Weight = equal,
    ) -> Launch:
        accept = _Accept(launch, self._owner, key, self._key_kept_s, unless, quotas, in_progress_max, weight)

        await self._space.check()
        while True:
            try:
                answer = await self._sql.writer.write(_accept, accept, on_stored=self._publish, lock=drain.ACCEPTANCE)
            except DBAPIError as error:
                if says_full(error):
                    raise StorageFull from error
                raise
            if answer.launch is not None:
                return answer.launch
            if earlier := await self._sql.read(reads.get, answer.launch_id):  # or it was removed in between
                return earlier

    def _publish(self, answer: _Answer) -> None:
        for event in answer.events:
            self._news.publish(event)
        if answer.launch is not None:
            self._news.publish(Accepted(launch=answer.launch))
        if answer.displaced is not None:
            self._news.publish(answer.displaced)
        if answer.retired:
            self._news.publish(WorkLeft())


def _accept(connection: Connection, accepts: Sequence[_Accept]) -> Sequence[_Answer]:
    """Store launches, each with its attempt and its first event, then check their conditions under the lock."""
    answers = [_insert_keyed(connection, accept) if accept.key else _accepted(accept) for accept in accepts]
    if unkeyed := [_row(accept) for accept in accepts if accept.key is None]:
        connection.execute(_INSERT_LAUNCH, unkeyed)
    new = [accept for accept, answer in zip(accepts, answers, strict=True) if answer.launch is not None]
    if new:
        if drain.draining_since(connection) is not None:
            raise ServiceDraining
        started = pool_claims.claim(connection, [accept.launch for accept in new])
        stored = [launch for launch, _ in started.values()]
        attempts = [attempt_row(launch.attempt, launch.created_at, launch.cleaned_at) for launch in stored]
        connection.execute(_INSERT_ATTEMPT, attempts)
        connection.execute(_INSERT_EVENT, [event_row(event) for _, events in started.values() for event in events])
        _check_unless(connection, new)
        _check_servers(connection, stored)
        displaced = _make_room(connection, [one for one in new if started[one.launch.id][0].claimed_from is None])
        retired = _check_quotas(connection, new)
        answers = [_with(answer, started, displaced, retired) for answer in answers]
    return answers


def _accepted(accept: _Accept) -> _Answer:
    return _Answer(accept.launch.id, accept.launch)


def _with(answer: _Answer, started: pool_claims.Started, displaced: Mapping[str, Event], retired: int) -> _Answer:
    """Return the answer for a new launch with everything that its acceptance changed."""
    if answer.launch is None:
        return answer
    launch, events = started[answer.launch_id]
    return replace(answer, launch=launch, events=events, displaced=displaced.get(launch.id), retired=retired)


def _row(accept: _Accept) -> dict[str, Any]:
    key = accept.key
    keyed = {"key_scope": key.scope, "key_request": key.request} if key else {"key_scope": None, "key_request": None}
    return {**launch_row(accept.launch), "owner": accept.owner, **keyed}


def _insert_keyed(connection: Connection, accept: _Accept) -> _Answer:
    """Store a launch under its key, or find the launch that already has the key.

    The unique index decides: of two simultaneous requests, to any processes, one is stored, and the other waits for
    that transaction to end.
    """
    assert accept.key is not None
    kept_since = datetime.now(UTC) - timedelta(seconds=accept.key_kept_s)
    connection.execute(_FORGET_KEY, {"of_key": accept.key.scope, "kept_since": kept_since})
    insert_if_new = _INSERT_IF_KEY_IS_NEW[connection.dialect.name]
    if connection.execute(insert_if_new, _row(accept)).first():
        return _accepted(accept)
    earlier = connection.execute(_OF_KEY, {"of_key": accept.key.scope}).one()
    if earlier.key_request != accept.key.request:
        raise IdempotencyKeyReused
    return _Answer(earlier.id)


def _check_unless(connection: Connection, accepts: Sequence[_Accept]) -> None:
    """Raise AlreadyRunning if an `unless` holds. The checks see the new launches; the lock prevents further ones."""
    for accept in accepts:
        if accept.unless is None:
            continue
        for launch in reads.page(connection, accept.unless.among, accept.unless.most):
            if launch.id != accept.launch.id and accept.unless.is_same(launch):
                raise AlreadyRunning(launch.id)


def _check_servers(connection: Connection, accepted: Sequence[Launch]) -> None:
    for launch in accepted:
        attempt = launch.attempt
        key = {"launch_id": launch.id, "username": attempt.username, "server_name": attempt.server_name}
        if not attempt.creates_user and (
            connection.execute(_IN_PROGRESS_FOR, key).first() or connection.execute(_DUE_FOR, key).first()
        ):
            raise AlreadyLaunching


def _check_quotas(connection: Connection, accepts: Sequence[_Accept]) -> int:
    """Raise QuotaReached if a quota is exceeded. Return how many members of warm pools are retired to keep it."""
    retired = 0
    for quota in dict.fromkeys(quota for accept in accepts for quota in accept.quotas):
        count = active(connection, quota)
        if count > quota.most and quota.scope is Scope.TOTAL:
            made_room = pool_members.give_up(connection, count - quota.most)
            retired, count = retired + made_room, count - made_room
        if count > quota.most:
            raise QuotaReached(quota, active=count - 1)  # a refused launch is retried alone, so it counts itself
    return retired


def _make_room(connection: Connection, accepts: Sequence[_Accept]) -> Mapping[str, Event]:
    """End as many launches as exceed the limit. Return their last events, by the new launch's id. Raises QueueFull.

    `accepts`: the new launches that need a place in the queue.
    """
    most = min((accept.in_progress_max for accept in accepts if accept.in_progress_max is not None), default=None)
    if most is None:
        return {}
    excess = connection.execute(_COUNT_IN_PROGRESS).scalar_one() - most
    if excess <= 0:
        return {}
    newcomers = [accept.launch for accept in accepts]
    displaced = displace(connection, newcomers, excess, weight=accepts[0].weight, owner=accepts[0].owner)
    if displaced is None:
        _check_quotas(connection, accepts)
        raise QueueFull(most)
    return displaced
