"""Use of each rate limit, counted over all processes that share the database.

The algorithm is `rules/rate_limit.py`, as in memory. This module reads and writes its levels, for all requests of a
batch at once: one statement locks and reads the rows of all their keys, in the order of the keys, and one stores the
changes.
A limit that is entirely free needs no row.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from hublaunch.launch.rules import rate_limit
from hublaunch.launch.rules.rate_limit import Levels, Limit, Verdict
from hublaunch.store.coordination import now
from hublaunch.store.tables import Instant, rate_limits
from hublaunch.store.transactions import Transactions

_PRUNED_MAX = 1000


def _locked(insert: Any) -> Any:
    """Insert new keys as free and leave known ones unchanged. Both stay locked until the transaction ends."""
    return insert.on_conflict_do_update(index_elements=["key"], set_={"free_at": rate_limits.c.free_at}).returning(
        rate_limits.c.key, rate_limits.c.free_at
    )


_LOCKED = {
    "sqlite": _locked(sqlite.insert(rate_limits)),
    "postgresql": _locked(postgresql.insert(rate_limits)),
}
_FREE_AT = select(rate_limits.c.key, rate_limits.c.free_at).where(
    rate_limits.c.key.in_(bindparam("keys", expanding=True))
)
_STORE = (
    update(rate_limits).where(rate_limits.c.key == bindparam("of_key")).values(free_at=bindparam("then", type_=Instant))
)
_PRUNE = delete(rate_limits).where(
    rate_limits.c.key.in_(
        select(rate_limits.c.key)
        .where(rate_limits.c.free_at <= bindparam("now", type_=Instant))
        .limit(_PRUNED_MAX)
        .with_for_update(skip_locked=True)
    )
)


@dataclass(frozen=True, slots=True)
class Use:
    """One use of each of these limits. A use that `is_owed` counts even without room."""

    limits: Sequence[Limit]
    is_owed: bool


def use(connection: Connection, uses: Sequence[Use]) -> Sequence[Verdict]:
    """Count requests one after the other, and return the verdict on each."""
    keys = {limit.key for use in uses for limit in use.limits}
    if not keys:
        return [_use(use, {})[0] for use in uses]
    at = now(connection)
    before = _lock(connection, keys, at)
    levels, verdicts = dict(before), []
    for one in uses:
        verdict, changed = _use(one, levels)
        levels.update(changed)
        verdicts.append(verdict)
    changed = {key: level for key, level in levels.items() if level != before[key]}
    if changed:
        connection.execute(_STORE, [{"of_key": key, "then": at + level} for key, level in sorted(changed.items())])
    return verdicts


def _use(use: Use, levels: Levels) -> tuple[Verdict, Levels]:
    if use.is_owed:
        return rate_limit.inspect(use.limits, levels), rate_limit.owe(use.limits, levels)
    return rate_limit.take(use.limits, levels)


def _lock(connection: Connection, keys: Collection[str], at: datetime) -> dict[str, timedelta]:
    """Return the levels of these keys, locked until the transaction ends."""
    found = connection.execute(_LOCKED[connection.dialect.name], [{"key": key, "free_at": at} for key in sorted(keys)])
    return {row.key: max(row.free_at - at, rate_limit.FREE) for row in found}


def _inspect(connection: Connection, limits: Sequence[Limit]) -> Verdict:
    """Return whether each limit has room."""
    at = now(connection)
    found = connection.execute(_FREE_AT, {"keys": [limit.key for limit in limits]})
    return rate_limit.inspect(limits, {row.key: row.free_at - at for row in found})


def _prune(connection: Connection) -> None:
    """Remove limits that are free, except those in use."""
    while connection.execute(_PRUNE, {"now": now(connection)}).rowcount == _PRUNED_MAX:
        pass


class SqlRateCounts:
    """The RateCounts in SQL."""

    def __init__(self, sql: Transactions) -> None:
        self._sql = sql

    async def take(self, limits: Sequence[Limit]) -> Verdict:
        return await self._sql.counter.write(use, Use(limits, is_owed=False))

    async def inspect(self, limits: Sequence[Limit]) -> Verdict:
        return await self._sql.read(_inspect, limits)

    async def owe(self, limits: Sequence[Limit]) -> None:
        await self._sql.counter.write(use, Use(limits, is_owed=True))

    async def prune(self) -> None:
        await self._sql.counter.run(_prune)
