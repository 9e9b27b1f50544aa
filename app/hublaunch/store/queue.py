"""The line of launches that wait, and what has been admitted."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Float, Text, bindparam, cast, delete, func, insert, null, select, union_all, update

from hublaunch.launch.model import Event
from hublaunch.launch.ports import Admitted, Capacity, LetThrough, Queue
from hublaunch.launch.rules.guard import Guard, Headroom, SpawnHistory, known_as
from hublaunch.launch.rules.networks import caller_name
from hublaunch.launch.rules.queue_order import FairQueue, Turns, Waiting, Weight
from hublaunch.store import outcomes
from hublaunch.store.pg import WORK, notify, now
from hublaunch.store.tables import IS_READY, Instant, admission, launches, line_turns
from hublaunch.store.writes import Append, append

LOCK = "admission"
"""Of the transactions that admit: one process after the other."""

_NOTHING = cast(null(), Text)
_WAITING_AND_TURNS = union_all(
    select(
        launches.c.id,
        launches.c.caller_kind,
        launches.c.caller_key,
        launches.c.repo_url,
        launches.c.image,
        cast(null(), Float),
    ).where(launches.c.ended_at.is_(None), launches.c.admitted_at.is_(None)),
    select(line_turns.c.name, _NOTHING, _NOTHING, _NOTHING, _NOTHING, line_turns.c.turn),
).order_by("id")
"""By one statement, so that they belong together: an admission changes both."""
_AT_HUB = (
    select(launches.c.image, func.count().label("launches"))
    .where(launches.c.ended_at.is_(None), launches.c.admitted_at.is_not(None))
    .group_by(launches.c.image)
)
_COUNTED = select(
    select(func.count())
    .where(launches.c.ended_at.is_(None), launches.c.admitted_at.is_not(None))
    .scalar_subquery()
    .label("launching"),
    select(func.count())
    .where(launches.c.ended_at.is_(None), launches.c.admitted_at.is_(None))
    .scalar_subquery()
    .label("waiting"),
    select(func.min(launches.c.created_at))
    .where(launches.c.ended_at.is_(None), launches.c.admitted_at.is_(None))
    .scalar_subquery()
    .label("waiting_since"),
    select(func.count()).where(IS_READY).scalar_subquery().label("ready"),
)
_LATELY = select(func.count()).where(launches.c.admitted_at > bindparam("since", type_=Instant))

_OF_LAUNCH = update(launches).where(launches.c.id == bindparam("of_launch"))
_STILL_WAITING = (
    select(launches.c.id, launches.c.owner, launches.c.time_left_s)
    .where(
        launches.c.id.in_(bindparam("launch_ids", expanding=True)),
        launches.c.ended_at.is_(None),
        launches.c.admitted_at.is_(None),
    )
    .order_by(launches.c.id)
    .with_for_update()
)
"""The chosen launches: one may have been cancelled, or have made room for another, since the queue was read."""
_PAUSE = (
    update(admission)
    .where(admission.c.paused_until.is_(None) | (admission.c.paused_until < bindparam("until", type_=Instant)))
    .values(paused_until=bindparam("until", type_=Instant))
)


@dataclass(frozen=True, slots=True)
class Admit:
    """Admit launches, in the order of the queue, as long as fewer than `most` are in flight; for this owner."""

    owner: str
    most: int
    weight: Weight
    guard: Guard


def admit(connection: Connection, admits: Sequence[Admit]) -> Sequence[LetThrough]:
    """Admit what may be, under LOCK."""
    return [_admit(connection, one) for one in admits]


def _admit(connection: Connection, admit: Admit) -> LetThrough:
    (waiting, turns), at = _waiting_and_turns(connection), now(connection)
    # What is at the Hub is read before how it ended there, so that whatever ends in between counts twice, not never.
    at_hub = Counter[str]()
    for row in connection.execute(_AT_HUB):
        at_hub[known_as(row.image)] += row.launches
    blamed, run = outcomes.blamed(connection), outcomes.run(connection)
    of_interest = {one.image for one in waiting} | at_hub.keys() | {failure.image for failure in blamed}
    proven = outcomes.proven(connection, of_interest)
    failing = admit.guard.failing(blamed, proven=proven)
    history = SpawnHistory(proven=proven, blamed=blamed, failing=failing, failures=run.failures, grown=run.grown)
    room = Headroom(admit.guard, history, most=admit.most, at_hub=at_hub)
    chosen: list[str] = []
    hub_is_busy = run.paused_until is not None and run.paused_until > at
    if waiting and room.free and not hub_is_busy:
        queue = FairQueue(waiting, turns, weight=admit.weight, may_go=lambda one: room.take(one.image))
        while room.free and (one := queue.take()):
            chosen.append(one.launch_id)
        if chosen:
            _keep_turns(connection, queue.turns)
    refused = {one.launch_id: failing[one.image] for one in waiting if one.image in failing}
    return LetThrough(
        admitted=_let_through(connection, chosen, at, owner=admit.owner),
        refused=refused,
        guard=admit.guard.state(failures=run.failures),
        holds_back=bool(room.free) and not hub_is_busy and len(chosen) + len(refused) < len(waiting),
    )


def _let_through(connection: Connection, launch_ids: Sequence[str], at: datetime, *, owner: str) -> Sequence[Admitted]:
    if not launch_ids:
        return []
    rows = connection.execute(_STILL_WAITING, {"launch_ids": launch_ids}).all()
    if not rows:
        return []
    admitted = [
        Admitted(launch_id=row.id, admitted_at=at, deadline_at=at + timedelta(seconds=row.time_left_s)) for row in rows
    ]
    connection.execute(
        _OF_LAUNCH.values(admitted_at=bindparam("at", type_=Instant), deadline_at=bindparam("until", type_=Instant)),
        [{"of_launch": one.launch_id, "at": at, "until": one.deadline_at} for one in admitted],
    )
    if any(row.owner != owner for row in rows):
        notify(connection, [WORK])
    return admitted


def capacity(connection: Connection, guard: Guard, most: int) -> Capacity:
    """How much there is of what, where `most` launches may be at the Hub."""
    counted, run = connection.execute(_COUNTED).one(), outcomes.run(connection)
    busy_for_s = (run.paused_until - now(connection)).total_seconds() if run.paused_until else 0
    is_off = guard.mode == "off"
    return Capacity(
        launching=counted.launching,
        waiting=counted.waiting,
        waiting_since=counted.waiting_since,
        ready=counted.ready,
        hub_busy_for_s=round(busy_for_s, 1) if busy_for_s > 0 else None,
        guard=guard.state(failures=run.failures),
        failures=run.failures,
        window=None if is_off else min(most, guard.window(failures=run.failures, grown=run.grown)),
        failing_images=len(outcomes.failing(connection, guard)),
    )


def queue(connection: Connection, weight: Weight, lately_s: float) -> Queue:
    """Who waits, in the order in which they will be admitted, and how many were lately."""
    waiting, turns = _waiting_and_turns(connection)
    since = now(connection) - timedelta(seconds=lately_s)
    queue = FairQueue(waiting, turns, weight=weight)
    return Queue(
        launch_ids=tuple(one.launch_id for one in queue),
        admitted_lately=connection.execute(_LATELY, {"since": since}).scalar_one(),
    )


def _waiting_and_turns(connection: Connection) -> tuple[Sequence[Waiting], Turns]:
    """Who waits, oldest first, and how far each caller has come."""
    waiting, turns = list[Waiting](), dict[str, float]()
    for name, kind, key, repo_url, image, turn in connection.execute(_WAITING_AND_TURNS):
        if turn is None:
            waiting.append(
                Waiting(launch_id=name, caller=caller_name(kind, key), repo_url=repo_url, image=known_as(image))
            )
        else:
            turns[name] = turn
    return waiting, turns


def _keep_turns(connection: Connection, turns: Turns) -> None:
    connection.execute(delete(line_turns))
    connection.execute(insert(line_turns), [{"name": name, "turn": turn} for name, turn in turns.items()])


@dataclass(frozen=True, slots=True)
class PutBack:
    """A launch that stands in the queue again, with what is told of it."""

    append: Append
    time_left_s: float
    waits_until: datetime
    pause_s: float


def put_back(connection: Connection, backs: Sequence[PutBack]) -> Sequence[Event]:
    """Put launches back in the queue and pause admission. ValueError, LaunchNotFound, LeaseLost as `writes.append`."""
    return [_put_back(connection, back) for back in backs]


def _put_back(connection: Connection, back: PutBack) -> Event:
    (event,) = append(connection, [back.append])
    values = {"admitted_at": None, "time_left_s": back.time_left_s, "deadline_at": back.waits_until}
    connection.execute(_OF_LAUNCH.values(values), {"of_launch": event.launch_id})
    connection.execute(_PAUSE, {"until": now(connection) + timedelta(seconds=back.pause_s)})
    return event
