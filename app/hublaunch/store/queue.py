"""The queue in SQL."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, Float, Text, bindparam, cast, delete, func, insert, null, select, union_all, update

from hublaunch.launch.model import Event, Launch, Step
from hublaunch.launch.news import NewsStream, WorkLeft
from hublaunch.launch.ports import AdmissionRound, Admitted, Capacity, Positions
from hublaunch.launch.rules.guard import Failing, Guard, known_as
from hublaunch.launch.rules.networks import caller_name
from hublaunch.launch.rules.queue_order import FairQueue, Turns, Waiting, Weight
from hublaunch.store import pool_members, spawn_history
from hublaunch.store.append import UPDATE_LAUNCH, Append, append
from hublaunch.store.coordination import WORK, notify, now
from hublaunch.store.drain import ADMISSION, draining_since
from hublaunch.store.hub_room import HubRoom
from hublaunch.store.tables import (
    IS_AT_HUB,
    IS_LAST,
    IS_MEMBER,
    IS_QUEUED,
    IS_READY,
    Instant,
    admission,
    launch_events,
    launches,
    queue_turns,
)
from hublaunch.store.transactions import Transactions

_NOTHING = cast(null(), Text)
_WAITING_AND_TURNS = union_all(
    select(
        launches.c.id,
        launches.c.caller_kind,
        launches.c.caller_key,
        launches.c.repo_url,
        launches.c.image,
        cast(null(), Float),
    ).where(IS_QUEUED),
    select(queue_turns.c.name, _NOTHING, _NOTHING, _NOTHING, _NOTHING, queue_turns.c.turn),
).order_by("id")
"""The queued launches and the callers' turns. An admission changes both, so one statement reads both."""
_COUNTED = select(
    select(func.count()).where(IS_AT_HUB, ~IS_MEMBER).scalar_subquery().label("launching"),
    select(func.count()).where(IS_QUEUED).scalar_subquery().label("waiting"),
    select(func.min(launches.c.created_at)).where(IS_QUEUED).scalar_subquery().label("waiting_since"),
    select(func.count())
    .select_from(launches)
    .join(launch_events, IS_LAST)
    .where(IS_AT_HUB, launch_events.c.stalled_since.is_not(None), ~IS_MEMBER)
    .scalar_subquery()
    .label("stalled"),
    select(func.count()).where(IS_READY, ~IS_MEMBER).scalar_subquery().label("ready"),
)
_LATELY = select(func.count()).where(launches.c.admitted_at > bindparam("since", type_=Instant), ~IS_MEMBER)

_STILL_WAITING = (
    select(launches.c.id, launches.c.owner, launches.c.time_left_s)
    .where(
        launches.c.id.in_(bindparam("launch_ids", expanding=True)),
        IS_QUEUED,
    )
    .order_by(launches.c.id)
    .with_for_update()
)
"""The chosen launches. Some may have been cancelled or displaced since the queue was read."""
_PAUSE = (
    update(admission)
    .where(admission.c.paused_until.is_(None) | (admission.c.paused_until < bindparam("until", type_=Instant)))
    .values(paused_until=bindparam("until", type_=Instant))
)


class SqlQueue:
    """The LaunchQueue in SQL."""

    def __init__(self, sql: Transactions, news: NewsStream, *, owner: str) -> None:
        self._sql = sql
        self._news = news
        self._owner = owner

    async def admit(self, *, most: int, weight: Weight, guard: Guard) -> AdmissionRound:
        def publish(outcome: AdmissionRound) -> None:
            if outcome.gave_way:
                self._news.publish(WorkLeft())

        return await self._sql.writer.run(_admit, self._owner, most, weight, guard, lock=ADMISSION, on_stored=publish)

    async def requeue(
        self, launch: Launch, step: Step, *, time_left_s: float, waits_until: datetime, pause_s: float
    ) -> None:
        addition = Append(launch.id, launch.fence, step, None)
        await self._sql.writer.run(_requeue, addition, time_left_s, waits_until, pause_s, on_stored=self._news.publish)

    async def positions(self, *, weight: Weight, lately_s: float) -> Positions:
        return await self._sql.read(_positions, weight, lately_s)

    async def capacity(self, *, guard: Guard, most: int) -> Capacity:
        return await self._sql.read(capacity, guard, most)

    async def failing(self, *, guard: Guard) -> Mapping[str, Failing]:
        return await self._sql.read(spawn_history.failing, guard)

    async def is_proven(self, image: str) -> bool:
        return bool(await self._sql.read(spawn_history.proven, {known_as(image)}))

    async def draining_since(self) -> datetime | None:
        return await self._sql.read(draining_since)

    async def note_hub(self, hub: str, *, before_s: float) -> bool:
        return await self._sql.writer.run(spawn_history.note_hub, hub, before_s)


def _admit(connection: Connection, owner: str, most: int, weight: Weight, guard: Guard) -> AdmissionRound:
    (waiting, turns), at = _waiting_and_turns(connection), now(connection)
    hub = HubRoom.read(connection, guard, {one.image for one in waiting})
    failing, run = hub.failing, hub.run
    # Members of warm pools give way to launches, so their places are free. The guard still counts them.
    room = hub.headroom(guard, most=most + hub.members)
    chosen: list[str] = []
    hub_is_busy = run.paused_until is not None and run.paused_until > at
    if waiting and room.free and not hub_is_busy and not run.is_draining:
        queue = FairQueue(waiting, turns, weight=weight, may_go=lambda one: room.take(one.image))
        while room.free and (one := queue.take()):
            chosen.append(one.launch_id)
        if chosen:
            _keep_turns(connection, queue.turns)
    excess = min(hub.launches + len(chosen) - most, hub.members)
    gave_way = pool_members.give_way(connection, excess) if chosen and excess > 0 else 0
    refused = {one.launch_id: failing[one.image] for one in waiting if one.image in failing}
    return AdmissionRound(
        admitted=_mark_admitted(connection, chosen, at, owner=owner),
        refused=refused,
        guard=guard.state(failures=run.failures),
        is_draining=run.is_draining,
        holds_back=bool(room.free) and not hub_is_busy and len(chosen) + len(refused) < len(waiting),
        gave_way=gave_way,
    )


def _mark_admitted(
    connection: Connection, launch_ids: Sequence[str], at: datetime, *, owner: str
) -> Sequence[Admitted]:
    if not launch_ids:
        return []
    rows = connection.execute(_STILL_WAITING, {"launch_ids": launch_ids}).all()
    if not rows:
        return []
    admitted = [
        Admitted(launch_id=row.id, admitted_at=at, deadline_at=at + timedelta(seconds=row.time_left_s)) for row in rows
    ]
    connection.execute(
        UPDATE_LAUNCH.values(admitted_at=bindparam("at", type_=Instant), deadline_at=bindparam("until", type_=Instant)),
        [{"of_launch": one.launch_id, "at": at, "until": one.deadline_at} for one in admitted],
    )
    if any(row.owner != owner for row in rows):
        notify(connection, [WORK])
    return admitted


def capacity(connection: Connection, guard: Guard, most: int) -> Capacity:
    """Count launches. `most`: the limit of launches at the Hub at once."""
    counted, run = connection.execute(_COUNTED).one(), spawn_history.run(connection)
    busy_for_s = (run.paused_until - now(connection)).total_seconds() if run.paused_until else 0
    is_off = guard.mode == "off"
    return Capacity(
        launching=counted.launching,
        stalled=counted.stalled,
        waiting=counted.waiting,
        waiting_since=counted.waiting_since,
        ready=counted.ready,
        hub_busy_for_s=round(busy_for_s, 1) if busy_for_s > 0 else None,
        guard=guard.state(failures=run.failures),
        failures=run.failures,
        window=None if is_off else min(most, guard.window(failures=run.failures, grown=run.grown)),
        failing_images=len(spawn_history.failing(connection, guard)),
        is_draining=run.is_draining,
    )


def _positions(connection: Connection, weight: Weight, lately_s: float) -> Positions:
    waiting, turns = _waiting_and_turns(connection)
    since = now(connection) - timedelta(seconds=lately_s)
    queue = FairQueue(waiting, turns, weight=weight)
    return Positions(
        launch_ids=tuple(one.launch_id for one in queue),
        admitted_lately=connection.execute(_LATELY, {"since": since}).scalar_one(),
    )


def _waiting_and_turns(connection: Connection) -> tuple[Sequence[Waiting], Turns]:
    """Return the waiting launches, oldest first, and the turns of their callers."""
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
    connection.execute(delete(queue_turns))
    connection.execute(insert(queue_turns), [{"name": name, "turn": turn} for name, turn in turns.items()])


def _requeue(
    connection: Connection, addition: Append, time_left_s: float, waits_until: datetime, pause_s: float
) -> Event:
    (event,) = append(connection, [addition])
    values = {"admitted_at": None, "time_left_s": time_left_s, "deadline_at": waits_until}
    values |= {"estimate": None, "has_pulled": False}
    connection.execute(UPDATE_LAUNCH.values(values), {"of_launch": event.launch_id})
    connection.execute(_PAUSE, {"until": now(connection) + timedelta(seconds=pause_s)})
    return event
