"""The state of warm pools in SQL: their members, the launches that they served or not, and failed starts."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select
from ulid import ULID

from hublaunch.launch.model import Status
from hublaunch.launch.ports import PoolState
from hublaunch.launch.rules.pool import backoff_s
from hublaunch.store import pool_members
from hublaunch.store.coordination import now
from hublaunch.store.pool_members import name_of
from hublaunch.store.tables import IS_MEMBER, Instant, launches, pool_orders

_FAILURES_MAX = 12
"""How many members are examined for failed starts in a row. The pause reaches its maximum long before that."""
_FAILURES_WITHIN = timedelta(hours=1)
"""Older failures no longer count. The longest pause is shorter than this."""

_SINCE = launches.c.id > bindparam("since_id")
_CLAIMED = launches.alias("claimed")
_LAST_MEMBERS = (
    select(launches.c.status, launches.c.created_at, launches.c.ended_at)
    .where(launches.c.pool == bindparam("of_pool"), IS_MEMBER, _SINCE)
    .order_by(launches.c.id.desc())
    .limit(_FAILURES_MAX)
)
_LAUNCHES = (
    select(
        launches.c.pool,
        launches.c.pool_miss,
        _CLAIMED.c.environment,
        _CLAIMED.c.size,
        launches.c.claimed_from.is_not(None).label("is_hit"),
        func.count().label("launches"),
    )
    .outerjoin(_CLAIMED, _CLAIMED.c.id == launches.c.claimed_from)
    .where(func.coalesce(launches.c.pool, "") != "", ~IS_MEMBER, _SINCE)  # by id: the index of pools has all history
    .group_by(
        launches.c.pool,
        launches.c.pool_miss,
        _CLAIMED.c.environment,
        _CLAIMED.c.size,
        launches.c.claimed_from.is_not(None),
    )
)
_UNCLAIMED = select(
    *(launches.c[name] for name in ("environment", "size", "stopped_by", "ended_at", "stopped_at"))
).where(
    IS_MEMBER,
    launches.c.status == Status.STOPPED.value,
    launches.c.stopped_by != "claim",
    launches.c.stopped_at > bindparam("stopped_since", type_=Instant),
)
"""Members that were stopped lately, however old they were."""
_NAMES = select(launches.c.pool, launches.c.environment, launches.c.size).where(IS_MEMBER, _SINCE).distinct()
ORDERS = select(pool_orders.c.name, pool_orders.c.is_drained, pool_orders.c.at)


@dataclass(frozen=True, slots=True)
class Failures:
    """Failed starts of a pool's members in a row."""

    count: int
    retry_at: datetime | None
    """When the next member may be started; None without failures."""


def failures_in_a_row(connection: Connection, pool: str, *, since: datetime | None) -> Failures:
    """Return the last failed starts of a pool, by its key. Those before `since` do not count.

    Members that were starting at the same time lengthen the pause once, because they may have one cause, such as a
    restart of the Hub.
    """
    failed_at, rounds, next_started_at = list[datetime](), 0, None
    key = {"of_pool": pool, "since_id": _first_id(now(connection) - _FAILURES_WITHIN)}
    for row in connection.execute(_LAST_MEMBERS, key):
        if row.ended_at is None or row.status == Status.CANCELLED.value:
            continue
        if row.status != Status.FAILED.value or (since is not None and row.ended_at < since):
            break
        failed_at.append(row.ended_at)
        if next_started_at is None or row.ended_at <= next_started_at:
            rounds, next_started_at = rounds + 1, row.created_at
    pause = timedelta(seconds=backoff_s(rounds))
    return Failures(len(failed_at), max(failed_at) + pause if failed_at else None)


_NO_FAILURES = Failures(0, None)


@dataclass(slots=True)
class _Counts:
    members: list[Row[Any]] = field(default_factory=list)
    hits: int = 0
    misses: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    wasted_s: float = 0.0
    failures: Failures = _NO_FAILURES


def states(connection: Connection, within_s: float, named: Mapping[str, str]) -> Sequence[PoolState]:
    """Return the pools with members, launches or failed starts within this time, and those with orders, by name.

    `named`: the names of the catalogue's pools, by their keys.
    """
    at, members = now(connection), pool_members.active(connection)
    since = at - timedelta(seconds=within_s)
    tried = connection.execute(_NAMES, {"since_id": _first_id(at - _FAILURES_WITHIN)}).all()
    names = {row.pool: name_of(row.environment, row.size) for row in (*tried, *members)} | dict(named)
    orders = {row.name: row for row in connection.execute(ORDERS)}
    counts: defaultdict[str, _Counts] = defaultdict(_Counts)
    for row in members:
        counts[name_of(row.environment, row.size)].members.append(row)
    for row in connection.execute(_LAUNCHES, {"since_id": _first_id(since)}):
        name = name_of(row.environment, row.size) or names.get(row.pool)
        if name is None:
            continue  # the catalogue no longer has the pool
        if row.is_hit:
            counts[name].hits += row.launches
        elif row.pool_miss:
            counts[name].misses[row.pool_miss] += row.launches
    for row in connection.execute(_UNCLAIMED, {"stopped_since": since}):
        of_pool = counts[name_of(row.environment, row.size)]
        of_pool.lost += row.stopped_by == "hub"
        of_pool.wasted_s += max(0.0, (row.stopped_at - row.ended_at).total_seconds())
    for pool in {row.pool for row in tried}:
        name = names[pool]
        order = orders.get(name)
        found = failures_in_a_row(connection, pool, since=order.at if order else None)
        counts[name].failures = max(counts[name].failures, found, key=lambda failures: failures.count)
    for name in orders:
        counts[name]  # a pool that was drained before it had any member
    return [_state(name, counts[name], orders.get(name)) for name in sorted(counts)]


def _state(name: str, counts: _Counts, order: Any) -> PoolState:
    staying = [row for row in counts.members if row.cancel_requested_at is None]
    ready = [row for row in staying if row.status == Status.READY.value]
    return PoolState(
        name=name,
        starting=len(staying) - len(ready),
        ready=len(ready),
        retiring=len(counts.members) - len(staying),
        oldest_since=min((row.created_at for row in ready), default=None),
        hits=counts.hits,
        misses=dict(counts.misses),
        lost=counts.lost,
        wasted_s=counts.wasted_s,
        failures=counts.failures.count,
        retry_at=counts.failures.retry_at,
        is_drained=order is not None and order.is_drained,
    )


def _first_id(at: datetime) -> str:
    """Return the smallest id of a launch that was accepted at this time or later."""
    return str(ULID.from_timestamp(at.timestamp()))[:10] + "0" * 16
