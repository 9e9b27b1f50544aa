"""Warm pools in SQL: which member a launch gets, and what becomes of a member that does not answer."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text

from hublaunch.launch.acceptance.account import following_attempt
from hublaunch.launch.errors import QuotaReached
from hublaunch.launch.model import Launch, Status, Step
from hublaunch.launch.ports import LaunchFilter, LeaseLost
from hublaunch.launch.rules.guard import Guard
from hublaunch.launch.rules.queue_order import equal
from hublaunch.launch.rules.quota import Quota, Scope
from hublaunch.store import pool_claims, pool_members
from hublaunch.store.sql import SqlLaunchStore
from hublaunch.store.tables import launches
from tests.store.databases import postgresql_only
from tests.store.launches import accepted, new_launch, read_back
from tests.support.warm import (
    POOL_KEY,
    change,
    pool_of,
    ready_members,
    refill,
    wanting,
)

UNGUARDED = Guard(mode="off", failure_limit=4)


# --- claims -----------------------------------------------------------------------------------------------------------


async def test_a_launch_takes_over_the_oldest_member_in_the_transaction_that_accepts_it(store: SqlLaunchStore) -> None:
    oldest, _ = await ready_members(store, 2)

    launch = await store.intake.accept(wanting())

    assert (launch.claimed_from, launch.attempt.username) == (oldest.id, oldest.attempt.username)
    assert (launch.status, launch.attempt.launch_id, launch.attempt.number) == (Status.LAUNCHING, launch.id, 1)
    stored = await read_back(store, launch)
    assert (stored.status, stored.attempt, stored.claimed_from) == (launch.status, launch.attempt, oldest.id)
    member = await read_back(store, oldest)
    assert (member.status, member.stopped_by, member.attempt.creates_user) == (Status.STOPPED, "claim", False)
    assert member.fence > oldest.fence


async def test_launches_accepted_together_take_over_different_members(store: SqlLaunchStore) -> None:
    members = await ready_members(store, 3)

    launched = await asyncio.gather(*(store.intake.accept(wanting()) for _ in range(5)))

    assert sorted(launch.claimed_from for launch in launched if launch.claimed_from) == sorted(
        one.id for one in members
    )
    assert [launch.pool_miss for launch in launched].count("empty") == 2


@postgresql_only
async def test_replicas_never_take_over_the_same_member(store: SqlLaunchStore, other: SqlLaunchStore) -> None:
    members = await ready_members(other, 10)

    launched = await asyncio.gather(*(each.intake.accept(wanting()) for _ in range(8) for each in (store, other)))

    claimed = [launch.claimed_from for launch in launched if launch.claimed_from]
    assert sorted(claimed) == sorted(member.id for member in members)


@postgresql_only
async def test_a_launch_waits_for_a_member_that_a_replica_has_locked_for_a_moment(
    store: SqlLaunchStore, other: SqlLaunchStore
) -> None:
    (member,) = await ready_members(other, 1)
    with other.database.writing.begin() as connection:
        connection.execute(select(launches.c.id).where(launches.c.id == member.id).with_for_update())
        accepting = asyncio.create_task(store.intake.accept(wanting()))
        await until_it_waits_for_a_lock(store, accepting)

    assert (await accepting).claimed_from == member.id


@postgresql_only
@pytest.mark.parametrize("by", ["claim", "retirement"])
async def test_a_member_that_a_replica_is_taking_away_is_not_taken_over(
    store: SqlLaunchStore, other: SqlLaunchStore, by: str
) -> None:
    (member,) = await ready_members(other, 1)
    with other.database.writing.begin() as connection:
        if by == "claim":
            pool_claims.take(connection, POOL_KEY, 1)
        else:
            pool_members.retire(connection, [member.id])
        accepting = asyncio.create_task(store.intake.accept(wanting()))
        await until_it_waits_for_a_lock(store, accepting)

    launch = await accepting
    assert (launch.claimed_from, launch.pool_miss) == (None, "empty")


async def until_it_waits_for_a_lock(store: SqlLaunchStore, task: asyncio.Task[Launch]) -> None:
    """Return once a statement waits for a lock, or the task has ended."""
    waiting = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    async with asyncio.timeout(10):
        while not task.done():
            if await store.sql.read(lambda connection: connection.execute(waiting).scalar_one()):
                return


async def test_a_member_that_is_being_retired_is_never_taken_over(store: SqlLaunchStore) -> None:
    await ready_members(store, 1)
    assert (await refill(store, 0)).retired == 1

    launch = await store.intake.accept(wanting())

    assert (launch.claimed_from, launch.pool_miss, launch.status) == (None, "empty", Status.WAITING)


async def test_a_member_that_is_not_ready_or_was_not_seen_lately_is_never_taken_over(store: SqlLaunchStore) -> None:
    (unseen,) = await ready_members(store, 1)
    await change(store, unseen, ended_at=datetime.now(UTC) - timedelta(minutes=10))
    assert len((await refill(store, 2)).started) == 1

    launch = await store.intake.accept(wanting())

    assert launch.claimed_from is None


async def test_a_member_of_an_image_other_than_the_launch_means_is_not_taken_over(store: SqlLaunchStore) -> None:
    (member,) = await ready_members(store, 1)
    await change(store, member, image_digest="sha256:old")

    moved = await store.intake.accept(wanting(image_digest="sha256:new"))
    unknown = await store.intake.accept(wanting())

    assert (moved.claimed_from, moved.pool_miss) == (None, "digest")
    assert (unknown.claimed_from, unknown.image_digest) == (member.id, "sha256:old")


async def test_the_last_owner_of_a_claimed_member_can_delete_nothing(store: SqlLaunchStore) -> None:
    (member,) = await ready_members(store, 1)
    launch = await store.intake.accept(wanting())

    await store.ownership.clean_up_again(member.id)
    with pytest.raises(LeaseLost):
        await store.upkeep.mark_stopped(member, stopped_by="hub", clean_in_s=0)

    assert await store.upkeep.due(member.id) == []
    assert await store.upkeep.due(launch.id) == []


async def test_a_launch_with_a_warm_server_is_never_in_the_queue(store: SqlLaunchStore) -> None:
    await ready_members(store, 1)
    await store.intake.accept(wanting())

    outcome = await store.queue.admit(most=10, weight=equal, guard=UNGUARDED)
    capacity = await store.queue.capacity(guard=UNGUARDED, most=10)

    assert outcome.admitted == []
    assert (capacity.waiting, capacity.launching, capacity.ready) == (0, 0, 0)
    assert (await store.queue.positions(weight=equal, lately_s=300)).launch_ids == ()


async def test_a_full_queue_refuses_no_launch_that_gets_a_warm_server(store: SqlLaunchStore) -> None:
    await ready_members(store, 1)
    await accepted(store)

    launch = await store.intake.accept(wanting(), in_progress_max=1)

    assert launch.claimed_from is not None


async def test_a_claim_records_neither_a_spawn_nor_a_start(store: SqlLaunchStore) -> None:
    (member,) = await ready_members(store, 1)
    launch = await store.intake.accept(wanting())

    await store.log.append(launch, Step(phase=Status.READY, progress=100, message="The server is ready"))

    with store.database.reading.connect() as connection:
        starts = connection.execute(text("SELECT launch_id FROM start_times")).scalars().all()
        grown = connection.execute(text("SELECT grown FROM admission")).scalar_one()
    assert (starts, grown) == ([member.id], 1)


async def test_members_are_in_no_list(store: SqlLaunchStore) -> None:
    (member,) = await ready_members(store, 1)
    launch = await store.intake.accept(wanting())

    assert [one.id for one in await store.log.launches(LaunchFilter(), limit=9)] == [launch.id]
    assert await store.log.launches(LaunchFilter(caller=member.caller), limit=9) == []


# --- a member that does not answer ------------------------------------------------------------------------------------


async def test_a_launch_whose_warm_server_does_not_answer_claims_another(store: SqlLaunchStore) -> None:
    dead, living = await ready_members(store, 2)
    launch = await store.intake.accept(wanting())

    await store.pools.claim_next(launch, may_claim=True, cold=following_attempt(launch.attempt, launch.request))

    current = await read_back(store, launch)
    assert (current.claimed_from, current.attempt.username) == (living.id, living.attempt.username)
    assert (current.status, current.attempt.number, current.has_asked_hub) == (Status.LAUNCHING, 2, True)
    assert [attempt.username for attempt in await store.upkeep.due(dead.id)] == [dead.attempt.username]
    assert (await read_back(store, dead)).stopped_by == "hub"
    assert await store.upkeep.due(launch.id) == []


async def test_the_next_member_that_a_launch_claims_runs_the_same_digest(store: SqlLaunchStore) -> None:
    dead, other, same = await ready_members(store, 3)
    for member, digest in ((dead, "sha256:new"), (other, "sha256:old"), (same, "sha256:new")):
        await change(store, member, image_digest=digest)
    launch = await store.intake.accept(wanting(image_digest="sha256:new"))
    assert launch.claimed_from == dead.id

    await store.pools.claim_next(launch, may_claim=True, cold=following_attempt(launch.attempt, launch.request))

    current = await read_back(store, launch)
    assert (current.claimed_from, current.image_digest) == (same.id, "sha256:new")


async def test_the_user_of_a_member_that_was_removed_is_deleted_by_the_launch_that_gave_it_up(
    store: SqlLaunchStore,
) -> None:
    (member,) = await ready_members(store, 1)
    launch = await store.intake.accept(wanting())
    assert await store.history.remove_old(older_than_s=-60, limit=9) == 1
    cold = following_attempt(launch.attempt, launch.request)

    await store.pools.claim_next(launch, may_claim=True, cold=cold)

    assert (await read_back(store, launch)).attempt == cold
    (due,) = await store.upkeep.due(launch.id)
    assert (due.username, due.creates_user) == (member.attempt.username, True)


async def test_a_launch_that_can_claim_no_other_server_joins_the_queue(store: SqlLaunchStore) -> None:
    await ready_members(store, 1)
    launch = await store.intake.accept(wanting(time_left_s=60))
    cold = following_attempt(launch.attempt, launch.request)

    await store.pools.claim_next(launch, may_claim=True, cold=cold)

    current = await read_back(store, launch)
    assert (current.status, current.claimed_from, current.pool_miss) == (Status.WAITING, None, "unanswered")
    assert (current.attempt, current.has_asked_hub, current.last_event.message) == (
        cold,
        False,
        "The warm server did not answer, so a new server will be started",
    )
    progress = [(event.attempt, event.progress) for event in await store.log.events(launch.id, after=0)]
    assert progress == [(1, 0), (1, 90), (cold.number, 0)], "it never falls within an attempt"
    (admitted,) = (await store.queue.admit(most=10, weight=equal, guard=UNGUARDED)).admitted
    assert admitted.launch_id == launch.id


# --- quotas -----------------------------------------------------------------------------------------------------------


async def test_members_count_toward_the_total_alone_and_not_twice_when_they_are_claimed(store: SqlLaunchStore) -> None:
    await ready_members(store, 2)
    of_image = Quota(scope=Scope.IMAGE, most=1, name="quay.io/org/scipy")

    launch = await store.intake.accept(wanting(), quotas=[of_image, Quota(scope=Scope.TOTAL, most=2)])

    assert launch.claimed_from is not None
    assert (await pool_of(store)).ready == 1


async def test_members_make_room_in_the_total_for_a_launch_that_they_cannot_serve(store: SqlLaunchStore) -> None:
    await ready_members(store, 2)
    total = Quota(scope=Scope.TOTAL, most=2)

    await store.intake.accept(new_launch(), quotas=[total])
    await store.intake.accept(new_launch(), quotas=[total])
    with pytest.raises(QuotaReached):
        await store.intake.accept(new_launch(), quotas=[total])

    assert ((await pool_of(store)).ready, (await pool_of(store)).retiring) == (0, 2)
