"""Which ready servers the Hub is asked about next, in SQL. Those chosen count as checked, so that one process asks."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Executable, bindparam, func, select, update

from hublaunch.launch.model import Launch
from hublaunch.store.coordination import now
from hublaunch.store.reads import of_ids
from hublaunch.store.tables import IS_MEMBER, IS_READY, Instant, launches

_UNCHECKED = (
    select(launches.c.id)
    .where(
        IS_READY,
        ~IS_MEMBER,
        func.coalesce(launches.c.looked_up_at, launches.c.ended_at) < bindparam("unseen_since", type_=Instant),
    )
    .order_by(launches.c.looked_up_at)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_MARK_CHECKED = (
    update(launches)
    .where(launches.c.id.in_(bindparam("launch_ids", expanding=True)))
    .values(looked_up_at=bindparam("now", type_=Instant))
)


def unchecked(connection: Connection, *, every_s: float, limit: int) -> Sequence[Launch]:
    """Choose ready launches that no process has checked in the last `every_s`, the longest unchecked first.

    At most `limit` of them, without those that another process is choosing at this moment. Members of warm pools count
    as checked only once they were seen, so `pool_members.to_check` chooses those.
    """
    at = now(connection)
    return check(connection, _UNCHECKED, {"unseen_since": at - timedelta(seconds=every_s), "most": limit}, at)


def check(connection: Connection, chosen: Executable, key: dict[str, Any], at: datetime) -> Sequence[Launch]:
    """Return the chosen launches, which count as checked from now on."""
    launch_ids = [row.id for row in connection.execute(chosen, key)]
    if not launch_ids:
        return []
    connection.execute(_MARK_CHECKED, {"launch_ids": launch_ids, "now": at})
    return of_ids(connection, launch_ids)
