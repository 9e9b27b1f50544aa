"""The line of launches that wait, and what has been admitted."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from app.launch.line import Line, Turns, Waiting, Weight, caller_name
from app.launch.model import Event
from app.launch.ports import Admitted, Queue
from app.store.shared import WORK, lock, notify, now
from app.store.tables import Instant, admission, launches, line_turns
from app.store.writes import Append, append

_WAITING = (
    select(launches.c.id, launches.c.caller_kind, launches.c.caller_key, launches.c.repo_url)
    .where(launches.c.ended_at.is_(None), launches.c.admitted_at.is_(None))
    .order_by(launches.c.id)
)
_IN_FLIGHT = select(func.count()).where(launches.c.ended_at.is_(None), launches.c.admitted_at.is_not(None))
_LATELY = select(func.count()).where(launches.c.admitted_at > bindparam("since", type_=Instant))
_PAUSED_UNTIL = select(admission.c.paused_until)
_TURNS = select(line_turns.c.name, line_turns.c.turn)

_OF_LAUNCH = update(launches).where(launches.c.id == bindparam("of_launch"))
_TIMES_LEFT = select(launches.c.id, launches.c.owner, launches.c.time_left_s).where(
    launches.c.id.in_(bindparam("launch_ids", expanding=True))
)
_ADMIT = _OF_LAUNCH.where(launches.c.ended_at.is_(None), launches.c.admitted_at.is_(None))
_PAUSE = (
    update(admission)
    .where(admission.c.paused_until.is_(None) | (admission.c.paused_until < bindparam("until", type_=Instant)))
    .values(paused_until=bindparam("until", type_=Instant))
)


@dataclass(frozen=True, slots=True)
class Admit:
    """Admit launches, in the order of the line, as long as fewer than `most` are in flight; for this owner."""

    owner: str
    most: int
    weight: Weight


def admit(connection: Connection, admits: Sequence[Admit]) -> Sequence[Sequence[Admitted]]:
    """Admit what may be; one process after the other."""
    return [_admit(connection, one) for one in admits]


def _admit(connection: Connection, admit: Admit) -> Sequence[Admitted]:
    lock(connection, ["admission"])
    waiting, at = _waiting(connection), now(connection)
    paused_until = connection.execute(_PAUSED_UNTIL).scalar_one()
    free = admit.most - connection.execute(_IN_FLIGHT).scalar_one()
    if not waiting or free <= 0 or (paused_until is not None and paused_until > at):
        return []
    line = Line(waiting, _turns(connection), weight=admit.weight)
    chosen = [one.launch_id for _, one in zip(range(free), line, strict=False)]
    rows = connection.execute(_TIMES_LEFT, {"launch_ids": chosen}).all()
    admitted = [
        Admitted(launch_id=row.id, admitted_at=at, deadline_at=at + timedelta(seconds=row.time_left_s)) for row in rows
    ]
    connection.execute(
        _ADMIT.values(admitted_at=bindparam("at", type_=Instant), deadline_at=bindparam("until", type_=Instant)),
        [{"of_launch": one.launch_id, "at": at, "until": one.deadline_at} for one in admitted],
    )
    connection.execute(delete(line_turns))
    connection.execute(insert(line_turns), [{"name": name, "turn": turn} for name, turn in line.turns.items()])
    if any(row.owner != admit.owner for row in rows):
        notify(connection, [WORK])
    return admitted


def queue(connection: Connection, weight: Weight, lately_s: float) -> Queue:
    """Who waits, in the order in which they will be admitted, and how many were lately."""
    waiting = _waiting(connection)
    since = now(connection) - timedelta(seconds=lately_s)
    line = Line(waiting, _turns(connection), weight=weight)
    return Queue(
        launch_ids=tuple(one.launch_id for one in line),
        admitted_lately=connection.execute(_LATELY, {"since": since}).scalar_one(),
    )


def _waiting(connection: Connection) -> Sequence[Waiting]:
    return [
        Waiting(launch_id=row.id, caller=caller_name(row.caller_kind, row.caller_key), repo_url=row.repo_url)
        for row in connection.execute(_WAITING)
    ]


def _turns(connection: Connection) -> Turns:
    return {row.name: row.turn for row in connection.execute(_TURNS)}


@dataclass(frozen=True, slots=True)
class PutBack:
    """A launch that stands in line again, with what is told of it."""

    append: Append
    time_left_s: float
    waits_until: datetime
    pause_s: float


def put_back(connection: Connection, backs: Sequence[PutBack]) -> Sequence[Event]:
    """Put launches back in line and pause admission. ValueError, LaunchNotFound, LeaseLost as `writes.append`."""
    return [_put_back(connection, back) for back in backs]


def _put_back(connection: Connection, back: PutBack) -> Event:
    (event,) = append(connection, [back.append])
    values = {"admitted_at": None, "time_left_s": back.time_left_s, "deadline_at": back.waits_until}
    connection.execute(_OF_LAUNCH.values(values), {"of_launch": event.launch_id})
    connection.execute(_PAUSE, {"until": now(connection) + timedelta(seconds=back.pause_s)})
    return event
