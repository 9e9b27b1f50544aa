"""What is done to launches that have ended: looking up ready ones, removing old ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, Integer, bindparam, delete, func, select, update

from hublaunch.launch.model import Launch
from hublaunch.store import outcomes
from hublaunch.store.pg import now
from hublaunch.store.reads import of_ids
from hublaunch.store.tables import HAS_ENDED, IS_READY, Instant, launch_attempts, launches

_READY = (
    select(launches.c.id)
    .where(
        IS_READY,
        func.coalesce(launches.c.looked_up_at, launches.c.ended_at) < bindparam("unseen_since", type_=Instant),
    )
    .order_by(launches.c.looked_up_at)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_LOOKED_UP = (
    update(launches)
    .where(launches.c.id.in_(bindparam("launch_ids", expanding=True)))
    .values(looked_up_at=bindparam("now", type_=Instant))
)
_UNCLEAN = (
    select(func.count())
    .where(
        launch_attempts.c.launch_id == launches.c.id,
        launch_attempts.c.cleaned_at.is_(None) | launch_attempts.c.clean_at.is_not(None),
    )
    .scalar_subquery()
)
"""Counted, as PostgreSQL turns a NOT EXISTS into a join, for which it reads every attempt that there is."""
IS_CLEAN = _UNCLEAN == 0
_OLD = (
    select(launches.c.id)
    .where(
        launches.c.id < bindparam("before_id"),
        HAS_ENDED,
        IS_CLEAN,
    )
    .order_by(launches.c.id)
    .limit(bindparam("most", type_=Integer))
    .with_for_update(skip_locked=True)
)
_REMOVE = delete(launches).where(launches.c.id.in_(bindparam("launch_ids", expanding=True)))


@dataclass(frozen=True, slots=True)
class LookUp:
    """At most so many ready launches that nobody has asked the Hub about for `every_s`."""

    every_s: float
    limit: int


@dataclass(frozen=True, slots=True)
class Removal:
    """At most so many launches whose ids come before `before_id`."""

    before_id: str
    limit: int


def ready_to_look_up(connection: Connection, look_ups: Sequence[LookUp]) -> Sequence[Sequence[Launch]]:
    """Ready launches to ask the Hub about; nobody else is given them until they are due again."""
    return [_ready_to_look_up(connection, look_up) for look_up in look_ups]


def _ready_to_look_up(connection: Connection, look_up: LookUp) -> Sequence[Launch]:
    at = now(connection)
    key = {"unseen_since": at - timedelta(seconds=look_up.every_s), "most": look_up.limit}
    launch_ids = [row.id for row in connection.execute(_READY, key)]
    if not launch_ids:
        return []
    connection.execute(_LOOKED_UP, {"launch_ids": launch_ids, "now": at})
    return of_ids(connection, launch_ids)


def remove(connection: Connection, launch_ids: Sequence[str]) -> int:
    """Remove launches with their attempts and events; return how many they were."""
    if launch_ids:
        connection.execute(_REMOVE, {"launch_ids": launch_ids})
    return len(launch_ids)


def remove_old(connection: Connection, removals: Sequence[Removal]) -> Sequence[int]:
    """Remove old launches of which nothing is left at the Hub; how many they were. And what no guard goes by."""
    outcomes.forget(connection)
    return [_remove_old(connection, removal) for removal in removals]


def _remove_old(connection: Connection, removal: Removal) -> int:
    old = connection.execute(_OLD, {"before_id": removal.before_id, "most": removal.limit})
    return remove(connection, [row.id for row in old])
