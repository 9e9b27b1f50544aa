"""Warm pools in SQL: which members are started and retired, and what operators see."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, insert, select, text, update
from ulid import ULID

from hublaunch.launch.caller import Caller
from hublaunch.launch.model import Launch
from hublaunch.launch.ports import Refilled, RefillTerms
from hublaunch.launch.rules.guard import Guard
from hublaunch.launch.rules.pool import PoolKey
from hublaunch.launch.rules.queue_order import equal
from hublaunch.launch.rules.quota import Quota, Scope
from hublaunch.launch.rules.refill_wait import RefillWait
from hublaunch.store.sql import SqlLaunchStore
from hublaunch.store.tables import launch_attempts, launch_events, launches
from tests.store.databases import postgresql_only
from tests.store.launches import FAILED, accepted, new_launch, read_back
from tests.support.warm import (
    REQUEST,
    TERMS,
    change,
    make_ready,
    new_member,
    pool,
    pool_of,
    ready_members,
    refill,
    wanting,
)

UNGUARDED = Guard(mode="off", failure_limit=4)


async def end_pause(store: SqlLaunchStore) -> None:
    """Let a minute pass for the members that have failed."""
    with store.database.writing.begin() as connection:
        for row in connection.execute(select(launches.c.id, launches.c.created_at, launches.c.ended_at)).all():
            earlier = {name: getattr(row, name) - timedelta(minutes=1) for name in ("created_at", "ended_at")}
            connection.execute(update(launches).where(launches.c.id == row.id).values(**earlier))


async def rename(store: SqlLaunchStore, launch: Launch, launch_id: str) -> None:
    """Give the launch another id, and so another time of acceptance."""
    with store.database.writing.begin() as connection:
        row = dict(connection.execute(select(launches).where(launches.c.id == launch.id)).one()._mapping)
        connection.execute(insert(launches).values(row | {"id": launch_id}))
        for table in (launch_attempts, launch_events):
            moved = update(table).where(table.c.launch_id == launch.id).values(launch_id=launch_id)
            connection.execute(moved)
        connection.execute(delete(launches).where(launches.c.id == launch.id))


async def test_the_missing_members_are_started_once(store: SqlLaunchStore) -> None:
    assert len((await refill(store, 3)).started) == 3
    assert len((await refill(store, 3)).started) == 0
    assert (await pool_of(store)).starting == 3


@postgresql_only
async def test_one_replica_at_a_time_decides_what_is_missing(store: SqlLaunchStore, other: SqlLaunchStore) -> None:
    rounds = await asyncio.gather(*(refill(each, 5) for _ in range(4) for each in (store, other)))

    assert sum(len(one.started) for one in rounds) == 5


async def test_no_member_is_started_while_a_launch_waits_in_the_queue(store: SqlLaunchStore) -> None:
    await accepted(store)

    assert (await refill(store, 1)).started == []

    await store.queue.admit(most=10, weight=equal, guard=UNGUARDED)
    assert len((await refill(store, 1)).started) == 1


async def test_members_use_at_most_a_quarter_of_the_spawns(store: SqlLaunchStore) -> None:
    terms = replace(TERMS, spawns_most=8)

    assert len((await refill(store, 5, terms=terms)).started) == 2
    assert len((await refill(store, 5, terms=terms)).started) == 0


async def test_a_starting_member_gives_its_place_at_the_hub_to_a_launch(store: SqlLaunchStore) -> None:
    await refill(store, 1, terms=replace(TERMS, spawns_most=1))
    first, second = await accepted(store), await accepted(store)

    outcome = await store.queue.admit(most=1, weight=equal, guard=UNGUARDED)

    assert [one.launch_id for one in outcome.admitted] == [first.id]
    assert outcome.gave_way == 1
    assert ((await pool_of(store)).starting, (await pool_of(store)).retiring) == (0, 1)
    assert second.id not in [
        one.launch_id for one in (await store.queue.admit(most=1, weight=equal, guard=UNGUARDED)).admitted
    ]


async def test_members_leave_the_last_place_of_the_guard_to_a_launch(store: SqlLaunchStore) -> None:
    guarded = replace(TERMS, guard=Guard(mode="normal", failure_limit=2))

    assert len((await refill(store, 3, terms=guarded)).started) == 1


async def test_members_stay_within_the_quota_of_all_launches(store: SqlLaunchStore) -> None:
    assert len((await refill(store, 5, terms=replace(TERMS, total=2))).started) == 2


async def test_a_pool_whose_members_fail_to_start_is_left_alone_for_a_while(store: SqlLaunchStore) -> None:
    (member,) = (await refill(store, 1)).started
    await store.log.append(member, FAILED)

    assert (await refill(store, 1)).started == []
    state = await pool_of(store)
    assert (state.failures, state.retry_at is not None) == (1, True)

    await store.pools.fill("scipy")
    assert len((await refill(store, 1)).started) == 1


async def test_members_that_fail_together_pause_their_pool_as_a_single_failure_does(store: SqlLaunchStore) -> None:
    for failures, pause_s in ((4, 10), (8, 20)):
        for member in (await refill(store, 4)).started:
            failed = await store.log.append(member, FAILED)

        state = await pool_of(store)

        assert (state.failures, state.retry_at) == (failures, failed.at + timedelta(seconds=pause_s))
        await end_pause(store)


async def test_a_member_that_is_too_old_is_retired_and_replaced(store: SqlLaunchStore) -> None:
    (old,) = await ready_members(store, 1)

    refilled = await refill(store, 1, max_age_s=0.0)

    assert (refilled.retired, len(refilled.started)) == (1, 1)
    assert (await read_back(store, old)).cancel_requested_at is not None


async def test_a_drained_pool_has_no_members_until_it_is_filled(store: SqlLaunchStore) -> None:
    await ready_members(store, 2)

    assert await store.pools.drain("scipy") == 2
    assert (await refill(store, 2)).started == []
    state = await pool_of(store)
    assert (state.ready, state.retiring, state.is_drained) == (0, 2, True)

    await store.pools.fill("scipy")
    assert len((await refill(store, 2)).started) == 2


async def test_members_of_a_pool_that_the_catalogue_no_longer_has_are_retired(store: SqlLaunchStore) -> None:
    await ready_members(store, 2)

    async def nothing() -> int:
        refilled = await store.pools.refill([], TERMS, new_member=lambda *_: new_launch())
        return refilled.retired

    assert await nothing() == 2


async def test_the_state_of_a_pool_counts_hits_misses_and_waste(store: SqlLaunchStore) -> None:
    lost, _ = await ready_members(store, 2)
    await store.upkeep.mark_stopped(await read_back(store, lost), stopped_by="hub", clean_in_s=0)
    await refill(store, 2)
    await store.intake.accept(wanting())
    await store.intake.accept(wanting())
    await store.intake.accept(wanting(pool_miss="options"))

    state = await pool_of(store)

    assert (state.name, state.hits, dict(state.misses)) == ("scipy", 1, {"empty": 1, "options": 1})
    assert (state.starting, state.ready, state.lost, state.wasted_s >= 0) == (1, 0, 1, True)


async def test_members_that_stopped_lately_count_as_waste_however_old_they_were(store: SqlLaunchStore) -> None:
    old, lost = await ready_members(store, 2)
    day_before = datetime.now(UTC) - timedelta(days=1)
    ids = {old.id: str(ULID.from_datetime(day_before)), lost.id: str(ULID.from_datetime(day_before))}
    for member in (old, lost):
        await rename(store, member, ids[member.id])
        await change(store, replace(member, id=ids[member.id]), ended_at=day_before)
    for member, by in ((old, "pool"), (lost, "hub")):
        current = await read_back(store, replace(member, id=ids[member.id]))
        await store.upkeep.mark_stopped(current, stopped_by=by, clean_in_s=0)

    state = await pool_of(store)

    assert (state.lost, round(state.wasted_s / 3600)) == (1, 48)


async def test_launches_of_a_pool_that_never_had_a_member_count_under_its_name(store: SqlLaunchStore) -> None:
    await store.intake.accept(wanting())

    (state,) = await store.pools.overview([pool(0)], TERMS, within_s=3600)

    assert (state.name, dict(state.misses)) == ("scipy", {"empty": 1})


async def test_of_two_pools_with_the_same_servers_only_the_first_wants_any(store: SqlLaunchStore) -> None:
    first, second = pool(2), replace(pool(2), environment="twin")
    await store.pools.refill([first, second], TERMS, new_member=new_member)

    states = await store.pools.overview([first, second], TERMS, within_s=3600)

    assert [(state.name, state.wanted, state.starting) for state in states] == [("scipy", 2, 2), ("twin", 0, 0)]


async def test_a_pool_waits_for_places_only_while_no_member_could_be_started(store: SqlLaunchStore) -> None:
    capacity = await store.queue.capacity(guard=UNGUARDED, most=8)

    async def waits_for(terms: RefillTerms) -> RefillWait | None:
        (state,) = await store.pools.overview([pool(3)], terms, within_s=3600)
        return state.waits_for(capacity, now=datetime.now(UTC))

    assert await waits_for(replace(TERMS, spawns_most=8)) is None, "the next round starts two"
    assert await waits_for(replace(TERMS, total=0)) is RefillWait.PLACES
    await refill(store, 3, terms=replace(TERMS, spawns_most=8))
    assert await waits_for(replace(TERMS, spawns_most=8)) is RefillWait.PLACES


async def test_a_pool_that_always_lacks_members_keeps_no_other_pool_empty(store: SqlLaunchStore) -> None:
    of_other = replace(REQUEST, image="quay.io/org/other:1", environment="other")
    other = replace(pool(9), environment="other", key=PoolKey.of(of_other), request=of_other)
    for pools in ([pool(9), other], [other, pool(9)]):
        started = (await store.pools.refill(pools, replace(TERMS, spawns_most=8), new_member=new_member)).started

        assert sorted(member.caller.key for member in started) == ["other", "scipy"]
        for member in started:
            await make_ready(store, member)


@postgresql_only
async def test_the_newest_replica_decides_what_another_catalogue_means(
    store: SqlLaunchStore, other: SqlLaunchStore
) -> None:
    (member,) = await ready_members(other, 1)

    assert await refill(store, 0) == Refilled(has_members=True)
    assert await store.pools.to_check(every_s=0, limit=9) == []
    assert (await pool_of(store)).ready == 1
    await other.ownership.release()

    assert (await refill(store, 0)).retired == 1
    assert (await read_back(store, member)).cancel_requested_at is not None


async def test_members_that_were_not_seen_lately_are_checked_the_longest_unseen_first(store: SqlLaunchStore) -> None:
    members = await ready_members(store, 2)

    first, second = members
    assert [one.id for one in await store.pools.to_check(every_s=0, limit=9)] == [first.id, second.id]
    assert [one.id for one in await store.pools.to_check(every_s=0, limit=1)] == [first.id]
    await store.pools.note_seen([first])
    assert [one.id for one in await store.pools.to_check(every_s=0, limit=1)] == [second.id]
    assert await store.pools.to_check(every_s=60, limit=9) == []


async def test_only_the_keeper_of_the_pools_checks_members(store: SqlLaunchStore) -> None:
    (member,) = await ready_members(store, 1)
    await change(store, member, ended_at=datetime.now(UTC) - timedelta(hours=1))

    assert await store.upkeep.ready_to_check(every_s=0, limit=9) == []
    total = Quota(scope=Scope.TOTAL, most=1)
    assert await store.upkeep.holders(total, every_s=0, but=(), limit=9) == []


async def test_demand_keeps_more_members_than_the_floor(store: SqlLaunchStore) -> None:
    for _ in range(30):
        await store.intake.accept(wanting())
        await store.ownership.renew()
    with store.database.writing.begin() as connection:
        connection.execute(text("UPDATE launches SET ended_at = created_at, status = 'failed'"))

    started = (await refill(store, 1, most=5)).started

    assert len(started) > 1
    for member in started:
        await make_ready(store, member)
    assert Caller(kind="pool", key="scipy") == started[0].caller
