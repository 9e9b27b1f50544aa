"""How much is kept of launches that have ended, so that no caller fills the disk with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, Integer, bindparam, func, select

from hublaunch.store.pg import now
from hublaunch.store.tables import HAS_ENDED, NEVER_ASKED, Instant, launches
from hublaunch.store.upkeep import IS_CLEAN, remove

_RECORD_BYTES = 2000
"""What a record takes beside its texts and its later events: its attempt, its first event and its share of indexes."""
_EVENT_BYTES = 400

_UNASKED = (
    select(launches.c.id)
    .where(
        NEVER_ASKED,
        launches.c.ended_at < bindparam("ended_before", type_=Instant),
        launches.c.key_scope.is_(None) | (launches.c.created_at < bindparam("key_kept_since", type_=Instant)),
        IS_CLEAN,
    )
    .order_by(launches.c.ended_at)
    .limit(bindparam("most", type_=Integer))
    .with_for_update(skip_locked=True)
)
_LAUNCHING_LATELY = (
    select(launches.c.history_of)
    .where(launches.c.id >= bindparam("since_id"), launches.c.history_of.is_not(None))
    .distinct()
)
_BYTES = (
    _RECORD_BYTES
    + _EVENT_BYTES * launches.c.last_seq
    + func.length(launches.c.image)
    + func.length(launches.c.repo_url)
    + func.length(launches.c.path)
)
_ADDED_UP = (
    select(launches.c.id, func.sum(_BYTES).over(order_by=launches.c.id.desc()).label("bytes"))
    .where(HAS_ENDED, launches.c.history_of == bindparam("caller"))
    .subquery()
)
_EXCESS = (
    select(launches.c.id)
    .where(
        launches.c.id.in_(select(_ADDED_UP.c.id).where(_ADDED_UP.c.bytes > bindparam("bytes_most", type_=Integer))),
        IS_CLEAN,
    )
    .order_by(launches.c.id)
    .limit(bindparam("most", type_=Integer))
    .with_for_update(skip_locked=True)
)


@dataclass(frozen=True, slots=True)
class Unasked:
    """At most so many launches that ended so long ago and never asked anything of the Hub.

    One that came with an Idempotency-Key stays for as long as the key is kept.
    """

    older_than_s: float
    key_kept_s: float
    limit: int


@dataclass(frozen=True, slots=True)
class Excess:
    """At most so many ended launches, the oldest of callers who have more of them than `bytes_most` in all.

    Only callers are looked at who had a launch accepted with this id or a later one.
    """

    since_id: str
    bytes_most: int
    limit: int


def remove_unasked(connection: Connection, removals: Sequence[Unasked]) -> Sequence[int]:
    """Remove launches that never asked anything of the Hub; the number of each removal."""
    return [_remove_unasked(connection, removal) for removal in removals]


def _remove_unasked(connection: Connection, removal: Unasked) -> int:
    at = now(connection)
    key = {
        "ended_before": at - timedelta(seconds=removal.older_than_s),
        "key_kept_since": at - timedelta(seconds=removal.key_kept_s),
        "most": removal.limit,
    }
    return remove(connection, [row.id for row in connection.execute(_UNASKED, key)])


def remove_excess(connection: Connection, removals: Sequence[Excess]) -> Sequence[int]:
    """Remove the oldest launches of callers who have too many; the number of each removal."""
    return [_remove_excess(connection, removal) for removal in removals]


def _remove_excess(connection: Connection, removal: Excess) -> int:
    removed = 0
    for caller in connection.execute(_LAUNCHING_LATELY, {"since_id": removal.since_id}).scalars().all():
        key = {"caller": caller, "bytes_most": removal.bytes_most, "most": removal.limit - removed}
        removed += remove(connection, [row.id for row in connection.execute(_EXCESS, key)])
        if removed == removal.limit:
            break
    return removed
