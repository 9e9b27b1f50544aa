"""Launches that make room in a full queue: within the accepting transaction, over all processes, on both databases."""

import asyncio
from collections import Counter

import pytest

from hublaunch.launch.caller import Caller
from hublaunch.launch.errors import QueueFull, QuotaReached
from hublaunch.launch.model import Launch, Status, Step
from hublaunch.launch.ports import LaunchFilter
from hublaunch.launch.rules.queue_order import Waiting, equal
from hublaunch.launch.rules.quota import Quota, Scope
from hublaunch.sealing import Sealer
from hublaunch.store.sql import SqlLaunchStore
from tests.store.databases import postgresql_only
from tests.store.launches import CANCELLED, heard_events, new_launch
from tests.support.launching import UNGUARDED

MOST = 6


def at(address: str) -> Caller:
    return Caller(kind="anonymous", key=address)


BIG, SMALL = at("192.0.2.1"), at("192.0.2.2")


async def accept(store: SqlLaunchStore, caller: Caller, *quotas: Quota) -> Launch:
    return await store.intake.accept(new_launch(caller=caller), in_progress_max=MOST, quotas=quotas)


async def filled(store: SqlLaunchStore, caller: Caller = BIG) -> list[Launch]:
    """Fill the queue with launches of one caller, and return them, oldest first."""
    return sorted([await accept(store, caller) for _ in range(MOST)], key=lambda launch: launch.id)


async def in_progress(store: SqlLaunchStore) -> Counter[str]:
    """Return the number of launches in progress of each address."""
    found = await store.log.launches(LaunchFilter(is_active=True), limit=None)
    return Counter(launch.caller.key for launch in found if launch.is_in_progress)


async def test_the_newest_launch_of_the_caller_with_the_most_makes_room(store: SqlLaunchStore) -> None:
    queue, told = await filled(store), heard_events(store)

    accepted = await accept(store, SMALL)

    ended = await store.log.get(queue[-1].id)
    assert ended is not None
    assert (ended.status, ended.last_event.seq, ended.is_displaced) == (Status.FAILED, 2, True)
    assert ended.ended_at is not None
    assert ended.cleaned_at is not None
    assert await store.upkeep.due(ended.id) == []
    assert [(event.launch_id, event.seq) for event in told] == [(accepted.id, 1), (ended.id, 2)]
    assert await in_progress(store) == {BIG.key: MOST - 1, SMALL.key: 1}


async def test_a_full_queue_is_shared_between_callers_and_then_refuses(store: SqlLaunchStore) -> None:
    await filled(store)

    for _ in range(MOST // 2):
        await accept(store, SMALL)

    for caller in (SMALL, BIG):
        with pytest.raises(QueueFull):
            await accept(store, caller)
    assert await in_progress(store) == {BIG.key: MOST // 2, SMALL.key: MOST // 2}


async def test_a_launch_that_was_admitted_once_makes_no_room(store: SqlLaunchStore) -> None:
    queue = await filled(store)
    await store.queue.admit(most=3, weight=equal, guard=UNGUARDED)
    busy = Step(phase=Status.WAITING, progress=None, message="JupyterHub is at its limit")
    await store.log.append(queue[2], Step(phase=Status.LAUNCHING, progress=0, message="Asking JupyterHub for a server"))
    await store.queue.requeue(queue[2], busy, time_left_s=9, waits_until=queue[2].deadline_at, pause_s=60)

    await accept(store, SMALL)
    with pytest.raises(QueueFull):
        await accept(store, SMALL)

    assert {launch.id for launch in await store.log.launches(LaunchFilter(is_active=True, caller=BIG), limit=None)} == {
        launch.id for launch in queue[:5]
    }


async def test_a_launch_that_is_being_cancelled_makes_no_room(store: SqlLaunchStore) -> None:
    queue = await filled(store)
    await store.ownership.request_cancel(queue[-1].id)

    await accept(store, SMALL)

    ended = {launch.id for launch in queue if (now := await store.log.get(launch.id)) and now.is_displaced}
    assert ended == {queue[-2].id}


async def test_launches_accepted_at_once_all_find_room_within_the_bound(store: SqlLaunchStore) -> None:
    await filled(store)
    callers = [at(f"192.0.2.{number}") for number in range(10, 18)]

    outcomes = await asyncio.gather(
        *(accept(store, caller) for caller in callers for _ in range(3)), return_exceptions=True
    )

    found = await in_progress(store)
    assert sum(found.values()) == MOST
    assert max(found.values()) == 1
    assert all(isinstance(outcome, Launch | QueueFull) for outcome in outcomes)


async def test_a_burst_of_a_caller_makes_room_within_one_transaction(store: SqlLaunchStore) -> None:
    callers = [*[BIG] * 20, SMALL, at("192.0.2.3")]

    outcomes = await asyncio.gather(*(accept(store, caller) for caller in callers), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes[-2:]] == [Launch, Launch]
    assert await in_progress(store) == {BIG.key: MOST - 2, SMALL.key: 1, "192.0.2.3": 1}


async def test_no_launch_makes_room_for_a_launch_refused_by_a_quota(store: SqlLaunchStore) -> None:
    await filled(store)

    with pytest.raises(QuotaReached):
        await accept(store, SMALL, Quota(scope=Scope.CALLER, most=0, name=f"anonymous:{SMALL.key}"))

    assert await in_progress(store) == {BIG.key: MOST}


async def test_a_used_up_quota_is_reported_before_a_full_queue(store: SqlLaunchStore) -> None:
    await filled(store)

    with pytest.raises(QuotaReached):
        await accept(store, BIG, Quota(scope=Scope.CALLER, most=MOST, name=f"anonymous:{BIG.key}"))


async def test_a_whole_ipv6_network_makes_room_though_each_address_has_one(store: SqlLaunchStore) -> None:
    for number in range(MOST):
        await accept(store, at(f"2001:db8:1:{number:x}00::7"))

    await accept(store, SMALL)

    assert (await in_progress(store))[SMALL.key] == 1
    assert (await in_progress(store)).total() == MOST


async def test_a_quota_holds_for_the_networks_around_an_address(store: SqlLaunchStore) -> None:
    quota = Quota(scope=Scope.CALLER, most=2, network="anonymous:2001:db8:1::/48")

    for number in range(2):
        await accept(store, at(f"2001:db8:1:{number:x}00::7"), quota)
    with pytest.raises(QuotaReached, match="in your network"):
        await accept(store, at("2001:db8:1:300::7"), quota)

    await accept(store, at("2001:db8:2::7"))


async def test_an_admission_skips_launches_displaced_since_it_read_the_queue(
    store: SqlLaunchStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch = await store.intake.accept(new_launch(caller=BIG))
    await store.log.append(launch, CANCELLED)
    waiting = Waiting(launch_id=launch.id, caller="anonymous:192.0.2.1", repo_url="", image=launch.request.image)
    with monkeypatch.context() as stale:
        stale.setattr("hublaunch.store.queue._waiting_and_turns", lambda _: ([waiting], {}))

        through = await store.queue.admit(most=5, weight=equal, guard=UNGUARDED)

    assert list(through.admitted) == []


@postgresql_only
async def test_three_processes_keep_the_bound_and_displace_each_launch_once(url: str, sealer: Sealer) -> None:
    async with (
        SqlLaunchStore(url, sealer=sealer) as one,
        SqlLaunchStore(url, sealer=sealer) as two,
        SqlLaunchStore(url, sealer=sealer) as three,
    ):
        stores = (one, two, three)
        heard = [heard_events(store) for store in stores]
        await filled(one)

        outcomes = await asyncio.gather(
            *(accept(stores[number % 3], at(f"192.0.2.{number % 9}")) for number in range(45)),
            *(store.queue.admit(most=2, weight=equal, guard=UNGUARDED) for store in stores),
            return_exceptions=True,
        )

        accepted = [outcome for outcome in outcomes if isinstance(outcome, Launch)]
        found = await in_progress(one)
        ended = Counter(event.launch_id for events in heard for event in events if event.is_displacement)
        assert sum(found.values()) == MOST
        assert MOST + len(accepted) - ended.total() == MOST
        assert set(ended.values()) == {1}
        assert not [
            outcome for outcome in outcomes if isinstance(outcome, Exception) and not isinstance(outcome, QueueFull)
        ]
