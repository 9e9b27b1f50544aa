"""The launches, ready servers and processes of a service, for `hublaunch top` and the page for admins.

Each statement reads a small partial index and a bounded number of rows, so the length of the history does not matter.
"""

from sqlalchemy import Connection, bindparam, case, func, select

from hublaunch.launch.caller import Caller
from hublaunch.launch.ports import ActiveCaller, Overview, Process, ReadyServers, WarmMembers
from hublaunch.launch.rules.guard import Guard
from hublaunch.store import spawn_history
from hublaunch.store.coordination import now
from hublaunch.store.queue import capacity
from hublaunch.store.quota_counts import all_active
from hublaunch.store.reads import in_progress
from hublaunch.store.tables import IS_ACTIVE, IS_MEMBER, IS_READY, launch_owners, launches

_READY = (
    select(launches.c.environment, launches.c.image, func.count().label("servers"))
    .where(IS_READY, ~IS_MEMBER)
    .group_by(launches.c.environment, launches.c.image)
    .order_by(func.count().desc(), launches.c.environment, launches.c.image)
    .limit(bindparam("most"))
)
_CALLERS = (
    select(launches.c.caller_kind, launches.c.caller_key, func.count().label("active"))
    .where(IS_ACTIVE, ~IS_MEMBER)
    .group_by(launches.c.caller_kind, launches.c.caller_key)
    .order_by(func.count().desc(), launches.c.caller_kind, launches.c.caller_key)
    .limit(bindparam("most"))
)
_WARM = (
    select(
        launches.c.caller_key.label("pool"),
        func.sum(case((IS_READY, 1), else_=0)).label("ready"),
        func.sum(case((IS_READY, 0), else_=1)).label("starting"),
    )
    .where(IS_MEMBER, IS_ACTIVE, launches.c.cancel_requested_at.is_(None))
    .group_by(launches.c.caller_key)
    .order_by(launches.c.caller_key)
    .limit(bindparam("most"))
)
_PROCESSES = (
    select(launch_owners.c.id, launch_owners.c.leased_until, func.count(launches.c.id).label("launches"))
    .outerjoin(launches, (launches.c.owner == launch_owners.c.id) & launches.c.ended_at.is_(None))
    .group_by(launch_owners.c.id, launch_owners.c.leased_until)
    .order_by(launch_owners.c.id)
    .limit(bindparam("most"))
)


def overview(connection: Connection, guard: Guard, spawns: int, most: int) -> Overview:
    """Read what the service does. `spawns`: LAUNCHER_MAX_CONCURRENT_SPAWNS. `most`: the longest list."""
    return Overview(
        at=now(connection),
        capacity=capacity(connection, guard, spawns),
        launches=in_progress(connection, most),
        ready=[
            ReadyServers(environment=row.environment or "", image=row.image, servers=row.servers)
            for row in connection.execute(_READY, {"most": most})
        ],
        callers=[
            ActiveCaller(caller=Caller(kind=row.caller_kind, key=row.caller_key), active=row.active)
            for row in connection.execute(_CALLERS, {"most": most})
        ],
        active=all_active(connection),
        warm=[
            WarmMembers(pool=row.pool, ready=row.ready, starting=row.starting)
            for row in connection.execute(_WARM, {"most": most})
        ],
        refused=spawn_history.failing(connection, guard),
        processes=[
            Process(id=row.id, leased_until=row.leased_until, launches=row.launches)
            for row in connection.execute(_PROCESSES, {"most": most})
        ],
    )
