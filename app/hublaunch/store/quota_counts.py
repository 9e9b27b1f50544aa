"""What a quota counts: the active launches of one name, of the names that a pattern matches, or all."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, bindparam, func, select, update

from hublaunch.launch.model import Launch
from hublaunch.launch.rules.quota import Quota, Scope
from hublaunch.store.pg import now
from hublaunch.store.reads import of_ids
from hublaunch.store.tables import IS_ACTIVE, IS_READY, Instant, launches

_NAME = {
    Scope.CALLER: launches.c.caller_name,
    Scope.REPOSITORY: launches.c.repo_name,
    Scope.IMAGE: launches.c.image_name,
}
_ALL = select(func.count()).where(IS_ACTIVE)
_OF_NAME = {
    scope: select(func.count()).where(IS_ACTIVE, column == bindparam("name")) for scope, column in _NAME.items()
}
_OF_NAMES = {
    scope: select(column.label("name"), func.count().label("number"))
    .where(IS_ACTIVE, column.is_not(None))
    .group_by(column)
    for scope, column in _NAME.items()
}
_HOLDERS = (
    select(launches.c.id)
    .where(
        IS_ACTIVE,  # for the indexes that have those alone
        IS_READY,
        launches.c.looked_up_at.is_(None) | (launches.c.looked_up_at <= bindparam("seen_before", type_=Instant)),
        launches.c.id.not_in(bindparam("but", expanding=True)),
    )
    .order_by(func.coalesce(launches.c.looked_up_at, launches.c.ended_at), launches.c.id)
    .limit(bindparam("most"))
    .with_for_update()
)
_LOOKED_UP = (
    update(launches)
    .where(launches.c.id.in_(bindparam("launch_ids", expanding=True)))
    .values(looked_up_at=bindparam("now", type_=Instant))
)


@dataclass(frozen=True, slots=True)
class Holders:
    """At most so many ready launches that count for a quota, but for those of some ids."""

    quota: Quota
    every_s: float
    but: Collection[str]
    limit: int


def active(connection: Connection, quota: Quota) -> int:
    """How many active launches count. Their history is not read: the indexes have the active ones alone."""
    if quota.name is not None:
        return int(connection.execute(_OF_NAME[quota.scope], {"name": quota.name}).scalar_one())
    if quota.is_of_several:
        found = connection.execute(_OF_NAMES[quota.scope])
        return sum(row.number for row in found if quota.counts(row.name))
    return int(connection.execute(_ALL).scalar_one())


def holders(connection: Connection, asked: Sequence[Holders]) -> Sequence[Sequence[Launch]]:
    """Ready launches that count for a quota, the longest unseen first; they are taken as looked up from now on."""
    return [_holders(connection, one) for one in asked]


def _holders(connection: Connection, asked: Holders) -> Sequence[Launch]:
    at, quota, query = now(connection), asked.quota, _HOLDERS
    key = {"seen_before": at - timedelta(seconds=asked.every_s), "but": list(asked.but), "most": asked.limit}
    if quota.name is not None:
        query = query.where(_NAME[quota.scope] == quota.name)
    elif quota.is_of_several:
        names = [row.name for row in connection.execute(_OF_NAMES[quota.scope]) if quota.counts(row.name)]
        query = query.where(_NAME[quota.scope].in_(names))
    launch_ids = [row.id for row in connection.execute(query, key)]
    if not launch_ids:
        return []
    connection.execute(_LOOKED_UP, {"launch_ids": launch_ids, "now": at})
    return of_ids(connection, launch_ids)
