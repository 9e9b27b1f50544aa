"""Claims of warm servers in SQL: a launch takes over the server of a pool's member."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Executable, Text, bindparam, func, insert, select, update

from hublaunch.launch.model import Attempt, Event, Launch, Stage, Status, Step
from hublaunch.launch.rules.pool import Miss
from hublaunch.store import pool_members
from hublaunch.store.append import FORGET_ARGS, MAKE_DUE, UPDATE_ATTEMPT, UPDATE_LAUNCH, Append, append, lock_end
from hublaunch.store.coordination import WORK, is_shared, notify, now
from hublaunch.store.rows import attempt_row
from hublaunch.store.tables import IS_ACTIVE, IS_LATEST, IS_MEMBER, IS_READY, Instant, launch_attempts, launches

SEEN_WITHIN = timedelta(minutes=3)
"""How recently the Hub must have had a member's server. The pool's keeper checks more often (`pool_keeper.py`)."""
CLAIMED = "A warm server was waiting"
ANOTHER = "The warm server did not answer. Another one was waiting"
COLD = "The warm server did not answer, so a new server will be started"

_NOW = bindparam("now", type_=Instant)
_DIGEST = bindparam("of_digest", type_=Text)
"""The digest that a launch means; None if it is unknown, and any will do."""
_IS_FREE = IS_MEMBER & IS_ACTIVE & IS_READY & launches.c.cancel_requested_at.is_(None)
"""Active as well, so that the index of members holds all these rows."""
_FREE = (
    select(
        launches.c.id,
        launches.c.attempt,
        launches.c.image_digest,
        launches.c.is_pinned,
        launch_attempts.c.username,
        launch_attempts.c.server_name,
    )
    .join(launch_attempts, IS_LATEST)
    .where(
        _IS_FREE,
        # With =, SQLite would use the index that holds a pool's whole history.
        launches.c.pool.is_not_distinct_from(bindparam("of_pool", type_=Text)),
        launches.c.image_digest.is_(None)
        | (func.coalesce(_DIGEST, launches.c.image_digest) == launches.c.image_digest),
        func.coalesce(launches.c.looked_up_at, launches.c.ended_at) > bindparam("seen_since", type_=Instant),
    )
    .order_by(launches.c.id)
    .limit(bindparam("most"))
)
_LOCK_FREE = _FREE.with_for_update(of=launches, skip_locked=True)
_AWAIT_FREE = _FREE.with_for_update(of=launches)
_TAKE = (
    update(launches)
    .where(launches.c.id.in_(bindparam("member_ids", expanding=True)), _IS_FREE)
    .values(
        status=Status.STOPPED.value,
        stopped_at=_NOW,
        stopped_by="claim",
        fence=launches.c.fence + 1,  # its last owner may still believe that the member is its own
    )
    .returning(launches.c.id)
)
_HAND_OVER = UPDATE_ATTEMPT.values(creates_user=False, cleaned_at=_NOW, clean_at=None)
"""The attempt of a claimed member no longer deletes anything: its user belongs to the claiming launch."""
_TAKE_BACK = UPDATE_ATTEMPT.values(creates_user=True, cleaned_at=None, clean_at=_NOW)
_MARK_LOST = UPDATE_LAUNCH.values(stopped_by="hub")
_ATTEMPT_OF = select(launches.c.attempt).where(launches.c.id == bindparam("launch_id"))
_NO_CLAIM = {"claimed_from": None, "image_digest": None, "is_pinned": False, "launching_at": None}
_MARK_CLAIM = UPDATE_LAUNCH.values(
    status=Status.LAUNCHING.value,
    launching_at=_NOW,
    last_seq=2,
    claimed_from=bindparam("member_id"),
    image_digest=bindparam("digest"),
    is_pinned=bindparam("pins"),
)
_MARK_MISS = UPDATE_LAUNCH.values(pool_miss=bindparam("miss"))


Started = Mapping[str, tuple[Launch, Sequence[Event]]]
"""New launches by their ids, as they are after the claims, each with its first events."""


class TakenMember(NamedTuple):
    """A member whose server a launch has just claimed."""

    id: str
    attempt: int
    image_digest: str | None
    is_pinned: bool
    username: str
    server_name: str


def take(connection: Connection, pool: str, most: int, *, digest: str | None = None) -> Sequence[TakenMember]:
    """Take the oldest members that are ready, at most this many. Each is stopped for the pool, and taken only once.

    Members that another replica has locked come last, because their transactions must end first. Most such
    transactions leave the member free. `digest`: of the image that the members must run; None for any.
    """
    members = list(_take(connection, _LOCK_FREE, pool, most, digest))
    if len(members) < most and is_shared(connection):
        members += _take(connection, _AWAIT_FREE, pool, most - len(members), digest)
    return members


def _take(
    connection: Connection, free_members: Executable, pool: str, most: int, digest: str | None
) -> Sequence[TakenMember]:
    at = now(connection)
    key = {"of_pool": pool, "of_digest": digest, "seen_since": at - SEEN_WITHIN, "most": most}
    free = [TakenMember(*row) for row in connection.execute(free_members, key)]
    if not free:
        return []
    taken = set(connection.execute(_TAKE, {"member_ids": [member.id for member in free], "now": at}).scalars())
    members = [member for member in free if member.id in taken]
    if members:
        handed_over = [{"of_launch": member.id, "of_number": member.attempt, "now": at} for member in members]
        connection.execute(_HAND_OVER, handed_over)
        connection.execute(FORGET_ARGS, {"launch_ids": [member.id for member in members]})
    return members


def has_free(connection: Connection, pool: str) -> bool:
    """Return whether a member of the pool could be claimed now."""
    key = {"of_pool": pool, "of_digest": None, "seen_since": now(connection) - SEEN_WITHIN, "most": 1}
    return connection.execute(_FREE, key).first() is not None


def claim(connection: Connection, new: Sequence[Launch]) -> Started:
    """Give a member to each of these new launches that wants one, in the order of the launches.

    The launches are stored already, but neither their attempts nor their events.
    """
    claims: dict[str, tuple[Launch, Sequence[Event]]] = {}
    demand = Counter(launch.pool for launch in new if launch.pool and launch.pool_miss is None)
    if demand:
        pool_members.note_demand(connection, demand)
    wanted = [(launch.pool, launch.image_digest) for launch in new if launch.pool and launch.pool_miss is None]
    for pool, digest in dict.fromkeys(wanted):
        wanting = [one for one in new if (one.pool, one.image_digest, one.pool_miss) == (pool, digest, None)]
        members = take(connection, pool, len(wanting), digest=digest)
        claims |= {launch.id: _claimed(launch, member) for launch, member in zip(wanting, members, strict=False)}
        if missed := wanting[len(members) :]:
            is_other = digest is not None and has_free(connection, pool)
            miss = (Miss.DIGEST if is_other else Miss.EMPTY).value
            claims |= {one.id: (replace(one, pool_miss=miss), (one.last_event,)) for one in missed}
            connection.execute(_MARK_MISS, [{"of_launch": launch.id, "miss": miss} for launch in missed])
    if marks := [_mark(launch) for launch, _ in claims.values() if launch.claimed_from is not None]:
        connection.execute(_MARK_CLAIM, marks)
    return {launch.id: claims.get(launch.id, (launch, (launch.last_event,))) for launch in new}


def _claimed(launch: Launch, member: TakenMember) -> tuple[Launch, Sequence[Event]]:
    """Return the launch with the member's server, and its first two events."""
    claimed = replace(
        launch.last_event, seq=2, phase=Status.LAUNCHING, message=CLAIMED, stage=Stage.OPENING, progress=90
    )
    attempt = replace(launch.attempt, username=member.username, server_name=member.server_name)
    changed = replace(
        launch,
        status=Status.LAUNCHING,
        launching_at=claimed.at,
        attempt=attempt,
        last_event=claimed,
        claimed_from=member.id,
        image_digest=member.image_digest,
        is_pinned=member.is_pinned,
    )
    return changed, (launch.last_event, claimed)


def _mark(launch: Launch) -> dict[str, Any]:
    at: datetime = launch.last_event.at
    digest = {"digest": launch.image_digest, "pins": launch.is_pinned}
    return {"of_launch": launch.id, "member_id": launch.claimed_from, "now": at, **digest}


# --- a member that did not answer -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NextClaim:
    """A launch that goes on without the server that it has claimed."""

    launch: Launch
    may_claim: bool
    """Whether it may claim another member."""
    cold: Attempt
    """Its next attempt if it claims none."""


def claim_next(connection: Connection, order: NextClaim) -> Event:
    """Give up the claimed server, and claim another member or put the launch into the queue. Return the event.

    The user of the given-up server goes back to its member, which is due for clean-up. The next server runs the same
    digest of the image. Raises LaunchNotFound, LeaseLost, or ValueError if the launch has no claim in progress.
    """
    launch, at = order.launch, now(connection)
    end = lock_end(connection, launch.id, launch.fence)
    if end.status is not Status.LAUNCHING or launch.claimed_from is None:
        raise ValueError(f"launch {launch.id} is {end.status}, and cannot claim another server")
    _give_back(connection, launch, at)
    members = take(connection, launch.pool or "", 1, digest=launch.image_digest) if order.may_claim else []
    if not members:
        _begin(connection, order.cold, {**_NO_CLAIM, "pool_miss": Miss.UNANSWERED.value})
        step = Step(phase=Status.WAITING, progress=0, message=COLD)
        (event,) = append(connection, [Append(launch.id, launch.fence, step, None)])
        return event
    (member,) = members
    number = launch.attempt.number + 1
    attempt = replace(launch.attempt, number=number, username=member.username, server_name=member.server_name)
    claim = {"claimed_from": member.id, "image_digest": member.image_digest, "is_pinned": member.is_pinned}
    _begin(connection, attempt, claim)
    step = Step(phase=Status.LAUNCHING, progress=None, message=ANOTHER, stage=Stage.OPENING)
    (event,) = append(connection, [Append(launch.id, launch.fence, step, None)])
    return event


def _give_back(connection: Connection, launch: Launch, at: datetime) -> None:
    """Make the member delete its user again, and the claiming launch's attempt delete nothing.

    A member may be removed once its retention is over. The claiming launch then deletes the user.
    """
    number = connection.execute(_ATTEMPT_OF, {"launch_id": launch.claimed_from}).scalar_one_or_none()
    if number is None:
        clean_at = {"of_launch": launch.id, "of_number": launch.attempt.number, "clean_at": at}
        connection.execute(MAKE_DUE, clean_at)
        notify(connection, [WORK])
        return
    connection.execute(_HAND_OVER, {"of_launch": launch.id, "of_number": launch.attempt.number, "now": at})
    connection.execute(_TAKE_BACK, {"of_launch": launch.claimed_from, "of_number": number, "now": at})
    connection.execute(_MARK_LOST, {"of_launch": launch.claimed_from})
    notify(connection, [WORK])


def _begin(connection: Connection, attempt: Attempt, changes: Mapping[str, Any]) -> None:
    connection.execute(UPDATE_LAUNCH.values(attempt=attempt.number, **changes), {"of_launch": attempt.launch_id})
    connection.execute(insert(launch_attempts), attempt_row(attempt, datetime.now(UTC)))
