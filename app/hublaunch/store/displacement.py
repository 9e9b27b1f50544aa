"""Room in a full queue: launches that end so that others can be accepted, as `launch/rules/displacement.py` decides."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, func, select, update

from hublaunch.launch.errors import Displaced
from hublaunch.launch.model import Event, Launch, Status, Step
from hublaunch.launch.problem import Problem
from hublaunch.launch.rules.displacement import Crowd
from hublaunch.launch.rules.networks import caller_name
from hublaunch.launch.rules.queue_order import Weight
from hublaunch.store.append import Append, append
from hublaunch.store.coordination import WORK, notify, now
from hublaunch.store.tables import IS_ACTIVE, Instant, launch_attempts, launches

_NEVER_ADMITTED = (
    IS_ACTIVE  # uses the index of active launches by caller
    & launches.c.ended_at.is_(None)
    & launches.c.admitted_at.is_(None)
    & launches.c.launching_at.is_(None)
    & launches.c.cancel_requested_at.is_(None)
)
_WAITING = (
    select(launches.c.caller_name, func.count().label("number"))
    .where(_NEVER_ADMITTED, launches.c.caller_name.is_not(None))
    .group_by(launches.c.caller_name)
)
_NEWEST = (
    select(launches.c.id, launches.c.fence, launches.c.owner)
    .where(
        _NEVER_ADMITTED,
        launches.c.caller_name == bindparam("name"),
        launches.c.id.not_in(bindparam("but", expanding=True)),
    )
    .order_by(launches.c.id.desc())
    .limit(1)
    .with_for_update(skip_locked=True)  # a launch that is being admitted or cancelled stays
)
_NOTHING_TO_CLEAN = (
    update(launch_attempts)
    .where(launch_attempts.c.launch_id.in_(bindparam("launch_ids", expanding=True)))
    .values(cleaned_at=bindparam("at", type_=Instant))
)


class _Displaced(NamedTuple):
    """A launch that makes room."""

    id: str
    fence: int
    owner: str | None


def displace(
    connection: Connection, newcomers: Sequence[Launch], excess: int, *, weight: Weight, owner: str
) -> Mapping[str, Event] | None:
    """End `excess` launches, one for each of the last newcomers. The newcomers are stored already.

    Return the last events of the ended launches by the ids of their newcomers, or None if too few can make room. A
    newcomer may make room for a later one. Other processes are notified if launches of theirs ended.
    """
    names = {launch.id: caller_name(launch.caller.kind, launch.caller.key) for launch in newcomers}
    crowd = _crowd(connection, names, weight)
    chosen: dict[str, _Displaced] = {}
    to_come = set(names)
    for number, newcomer in enumerate(newcomers, start=1):
        to_come.remove(newcomer.id)
        if number > len(newcomers) - excess:
            but = {*to_come, *(one.id for one in chosen.values())}
            one = _take_one(connection, crowd, names[newcomer.id], but=but)
            if one is None:
                return None
            chosen[newcomer.id] = one
        crowd.add(names[newcomer.id])
    ended = _end(connection, list(chosen.values()))
    if any(one.owner != owner for one in chosen.values()):
        notify(connection, [WORK])
    return dict(zip(chosen, ended, strict=True))


def _crowd(connection: Connection, newcomers: Mapping[str, str], weight: Weight) -> Crowd:
    """Return the waiting launches by caller, without the newcomers."""
    crowd = Crowd({row.caller_name: row.number for row in connection.execute(_WAITING)}, weight=weight)
    for name in newcomers.values():
        crowd.add(name, -1)
    return crowd


def _take_one(connection: Connection, crowd: Crowd, newcomer: str, *, but: Collection[str]) -> _Displaced | None:
    caller = crowd.makes_room_for(newcomer)
    if caller is None:
        return None
    crowd.add(caller, -1)
    for row in connection.execute(_NEWEST, {"name": caller, "but": list(but)}):
        return _Displaced(row.id, row.fence, row.owner)
    return None


def _end(connection: Connection, ended: Sequence[_Displaced]) -> Sequence[Event]:
    error = Displaced()
    step = Step(phase=Status.FAILED, progress=None, message=error.title, problem=Problem.of(error))
    connection.execute(_NOTHING_TO_CLEAN, {"launch_ids": [launch.id for launch in ended], "at": now(connection)})
    return append(connection, [Append(launch.id, launch.fence, step, None) for launch in ended])
