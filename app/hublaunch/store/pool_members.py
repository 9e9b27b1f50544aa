"""Members of warm pools in SQL: who they are, which are retired, and how many launches want one."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, insert, select, update

from hublaunch.launch.model import Launch
from hublaunch.launch.rules.pool import Demand
from hublaunch.store.coordination import WORK, notify, now
from hublaunch.store.ownership import is_newest
from hublaunch.store.reads import of_ids
from hublaunch.store.tables import IS_ACTIVE, IS_MEMBER, IS_READY, Instant, launches, pool_demand, pool_orders

_STAYING = IS_MEMBER & IS_ACTIVE & launches.c.cancel_requested_at.is_(None)
"""Members that are starting or ready, and not being retired."""
ACTIVE = select(
    *(launches.c[name] for name in ("id", "pool", "status", "environment", "size")),
    *(launches.c[name] for name in ("created_at", "cancel_requested_at", "image_digest")),
).where(IS_MEMBER, IS_ACTIVE)
_NEWEST = (
    select(launches.c.id)
    .where(_STAYING)
    .order_by(launches.c.ended_at.is_not(None), launches.c.id.desc())  # those that are still starting come first
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_STARTING = _NEWEST.where(launches.c.ended_at.is_(None))
_THESE = (
    select(launches.c.id)
    .where(_STAYING, launches.c.id.in_(bindparam("member_ids", expanding=True)))
    .with_for_update(skip_locked=True)
)  # a launch is claiming the others
_UNSEEN = (
    select(launches.c.id)
    .where(
        _STAYING,
        IS_READY,
        func.coalesce(launches.c.looked_up_at, launches.c.ended_at) < bindparam("unseen_since", type_=Instant),
    )
    .order_by(func.coalesce(launches.c.looked_up_at, launches.c.ended_at), launches.c.id)
    .limit(bindparam("most"))
)
_NOTE_SEEN = (
    update(launches)
    .where(launches.c.id.in_(bindparam("member_ids", expanding=True)))
    .values(looked_up_at=bindparam("now", type_=Instant))
)
_RETIRE = (
    update(launches)
    .where(launches.c.id.in_(bindparam("member_ids", expanding=True)))
    .values(cancel_requested_at=bindparam("now", type_=Instant))
)
_SET_ORDER = (
    update(pool_orders)
    .where(pool_orders.c.name == bindparam("of_name"))
    .values(is_drained=bindparam("drains"), at=bindparam("now", type_=Instant))
)
_DEMAND = select(pool_demand.c.count.label("number"), pool_demand.c.at).where(
    pool_demand.c.pool == bindparam("of_pool")
)
_SET_DEMAND = (
    update(pool_demand)
    .where(pool_demand.c.pool == bindparam("of_pool"))
    .values(count=bindparam("is_count"), at=bindparam("now", type_=Instant))
)


def name_of(environment: str | None, size: str | None) -> str:
    """Return the name of a pool for operators."""
    return f"{environment}/{size}" if size else environment or ""


def active(connection: Connection) -> Sequence[Row[Any]]:
    """Return the members that are starting, ready or being retired."""
    return connection.execute(ACTIVE).all()


def retire(connection: Connection, member_ids: Collection[str]) -> Sequence[str]:
    """Stop the servers of these members, except those that a launch has claimed. Return the ids of the members to be
    stopped.

    As with every cancellation, the owner of a member or the process that adopts it carries it out.
    """
    if not member_ids:
        return []
    return _retire(connection, connection.execute(_THESE, {"member_ids": list(member_ids)}).scalars().all())


def give_up(connection: Connection, most: int) -> int:
    """Retire at most this many members, those that are starting first, to make room in a quota. Return how many."""
    return len(_retire(connection, connection.execute(_NEWEST, {"most": most}).scalars().all()))


def give_way(connection: Connection, most: int) -> int:
    """Retire at most this many members that are starting, to make room at the Hub. Return how many."""
    return len(_retire(connection, connection.execute(_STARTING, {"most": most}).scalars().all()))


def _retire(connection: Connection, member_ids: Sequence[str]) -> Sequence[str]:
    if member_ids:
        connection.execute(_RETIRE, {"member_ids": list(member_ids), "now": now(connection)})
        notify(connection, [WORK])
    return member_ids


def demand(connection: Connection, pool: str) -> Demand:
    """Return the demand for a pool, by its key."""
    row = connection.execute(_DEMAND, {"of_pool": pool}).one_or_none()
    return Demand(at=now(connection)) if row is None else Demand(count=row.number, at=row.at)


def note_demand(connection: Connection, arrivals: Mapping[str, int]) -> None:
    """Add launches to the demand for their pools. Call this under the lock of acceptance."""
    at = now(connection)
    for pool, number in arrivals.items():
        new = demand(connection, pool).arrived(at, number)
        values = {"of_pool": pool, "is_count": new.count, "now": new.at}
        if connection.execute(_SET_DEMAND, values).rowcount == 0:
            connection.execute(insert(pool_demand), {"pool": pool, "count": new.count, "at": new.at})


def to_check(connection: Connection, owner: str, every_s: float, limit: int) -> Sequence[Launch]:
    """Return ready members that were not seen in the last `every_s`, if this is the newest process."""
    if not is_newest(connection, owner):
        return []
    key = {"unseen_since": now(connection) - timedelta(seconds=every_s), "most": limit}
    return of_ids(connection, connection.execute(_UNSEEN, key).scalars().all())


def note_seen(connection: Connection, member_ids: Collection[str]) -> None:
    """Note that the Hub has the servers of these members now."""
    connection.execute(_NOTE_SEEN, {"member_ids": list(member_ids), "now": now(connection)})


def drain(connection: Connection, name: str) -> int:
    """Note that a pool is drained, and retire its members. Return how many."""
    order(connection, name, is_drained=True)
    return len(retire(connection, [row.id for row in active(connection) if name_of(row.environment, row.size) == name]))


def order(connection: Connection, name: str, is_drained: bool) -> None:
    """Note the operator's order for a pool."""
    values = {"of_name": name, "drains": is_drained, "now": now(connection)}
    if connection.execute(_SET_ORDER, values).rowcount == 0:
        new = {"name": name, "is_drained": is_drained, "at": values["now"]}
        connection.execute(insert(pool_orders), new)
