"""Draining: new launches are refused, the queue is held, and active launches are stopped."""

import pytest

from hublaunch.launch.acceptance.idempotency import IdempotencyKey
from hublaunch.launch.errors import ServiceDraining
from hublaunch.launch.model import Launch
from hublaunch.sealing import Sealer
from hublaunch.store import drain
from hublaunch.store.drain import Left
from hublaunch.store.sql import SqlLaunchStore
from tests.store.databases import postgresql_only
from tests.store.launches import accepted, new_launch, read_back, ready_launch
from tests.support.launching import UNGUARDED
from tests.support.warm import POOL_KEY, REQUEST, ready_members, refill

KEY = IdempotencyKey(scope="a" * 64, request="b" * 64)


def equal(_: str) -> float:
    return 1.0


async def admit(store: SqlLaunchStore, most: int = 50) -> int:
    """Return how many launches were admitted."""
    return len((await store.queue.admit(most=most, weight=equal, guard=UNGUARDED)).admitted)


async def begin(store: SqlLaunchStore) -> bool:
    return await store.sql.writer.run(drain.start)


async def left(store: SqlLaunchStore) -> Left:
    return await store.sql.read(drain.left)


async def stop(store: SqlLaunchStore, most: int = 50) -> None:
    await store.sql.writer.run(lambda connection: drain.stop_active(connection, most=most))


async def is_cancelled(store: SqlLaunchStore, launch: Launch) -> bool:
    return (await read_back(store, launch)).cancel_requested_at is not None


async def test_no_launch_is_accepted_and_none_admitted_until_the_drain_ends(store: SqlLaunchStore) -> None:
    await accepted(store)
    await begin(store)

    with pytest.raises(ServiceDraining):
        await accepted(store)
    held = await store.queue.admit(most=50, weight=equal, guard=UNGUARDED)
    during = await store.queue.draining_since()
    await store.sql.writer.run(drain.end)
    await accepted(store)

    assert (held.admitted, held.is_draining, held.holds_back) == ([], True, True)
    assert during is not None
    assert await store.queue.draining_since() is None
    assert await admit(store) == 2


async def test_a_repeated_request_finds_its_launch_while_new_ones_are_refused(store: SqlLaunchStore) -> None:
    first = await store.intake.accept(new_launch(), KEY)
    await begin(store)

    again = await store.intake.accept(new_launch(), KEY)

    assert again.id == first.id


@postgresql_only
async def test_a_drain_holds_for_all_replicas(store: SqlLaunchStore, other: SqlLaunchStore) -> None:
    await begin(store)

    with pytest.raises(ServiceDraining):
        await accepted(other)


async def test_a_second_drain_continues_the_first(store: SqlLaunchStore) -> None:
    assert await begin(store)
    since = await store.queue.draining_since()

    assert not await begin(store)
    assert await store.queue.draining_since() == since


async def test_the_whole_queue_is_cancelled_and_servers_a_few_at_a_time(store: SqlLaunchStore) -> None:
    servers = [await ready_launch(store) for _ in range(3)]
    assert await admit(store) == 0
    queued = [await accepted(store) for _ in range(3)]
    await begin(store)

    await stop(store, most=2)
    await stop(store, most=2)

    assert [await is_cancelled(store, one) for one in queued] == [True] * 3
    assert [await is_cancelled(store, one) for one in servers] == [True, True, False]
    assert (await read_back(store, servers[0])).stopped_by == "operator"


async def test_what_is_left_is_counted(store: SqlLaunchStore) -> None:
    await accepted(store)
    await admit(store, most=1)
    await accepted(store)
    gone = await ready_launch(store)
    await store.upkeep.mark_stopped(gone, stopped_by="hub", clean_in_s=3600)
    await ready_launch(store)

    assert await left(store) == Left(draining_since=None, waiting=1, launching=1, ready=1, to_clean_up=1, processes=1)


async def test_a_launch_that_enters_a_warm_server_is_starting_and_stopped_by_the_operator(
    store: SqlLaunchStore,
) -> None:
    await ready_members(store, 1)
    entering = await store.intake.accept(new_launch(request=REQUEST, pool=POOL_KEY))
    await begin(store)
    counted = await left(store)

    await stop(store)

    assert (counted.waiting, counted.launching, counted.ready) == (0, 1, 0)
    assert (await read_back(store, entering)).stopped_by == "operator"


async def test_a_drain_empties_the_warm_pools_and_starts_no_member(store: SqlLaunchStore) -> None:
    await ready_members(store, 2)
    await begin(store)

    round_ = await refill(store, 3)

    assert (len(round_.started), round_.retired) == (0, 2)


async def test_once_a_drain_has_ended_nothing_more_is_stopped(store: SqlLaunchStore) -> None:
    await begin(store)
    await store.sql.writer.run(drain.end)
    launch = await ready_launch(store)

    await stop(store)

    assert not await is_cancelled(store, launch)
    assert (await left(store)).draining_since is None


async def test_users_of_servers_that_are_gone_are_cleaned_up_at_once(store: SqlLaunchStore, sealer: Sealer) -> None:
    gone = await ready_launch(store)
    await store.upkeep.mark_stopped(gone, stopped_by="hub", clean_in_s=3600)
    assert await store.upkeep.due(gone.id) == []
    await begin(store)

    await stop(store)

    assert [attempt.launch_id for attempt in await store.upkeep.due(gone.id)] == [gone.id]


async def test_a_second_clean_up_keeps_its_time(store: SqlLaunchStore) -> None:
    launch = await ready_launch(store)
    await store.upkeep.mark_stopped(launch, stopped_by="caller", clean_in_s=0)
    await store.upkeep.mark_cleaned(launch, launch.attempt, again_in_s=80)
    await begin(store)

    await stop(store)

    assert await store.upkeep.due(launch.id) == []
    assert (await left(store)).to_clean_up == 1
