"""Admission: launches beyond the Hub's limit wait in the queue."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from hublaunch.hub.client import HubClient
from hublaunch.launch.caller import Caller
from hublaunch.launch.course.progress import EVENTS_MAX
from hublaunch.launch.course.requeue import REQUEUES_MAX, pause_after
from hublaunch.launch.errors import HubBusy, QueueFull
from hublaunch.launch.model import Launch, LaunchRequest, Status, Step
from hublaunch.launch.rules.guard import Failing, Guard
from hublaunch.store.queue import SqlQueue
from hublaunch.store.sql import SqlLaunchStore
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.launching import SEALER, UNGUARDED, Launching, OpenCore, launching
from tests.support.sqlite import migrated

ADA, BOB = (Caller(kind="key", key=name) for name in ("ada", "bob"))
REQUEST = LaunchRequest(image="a/b", repo_url="https://example.org/a/b")


async def start(core: Launching, *callers: Caller) -> list[Launch]:
    return [await core.service.start(REQUEST, caller) for caller in callers]


async def phases(core: Launching, launches: Sequence[Launch]) -> list[Status]:
    return [(await core.service.get(launch.id)).status for launch in launches]


async def test_no_more_launches_are_at_the_hub_than_the_limit_allows(hub: FakeHub, open_core: OpenCore) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    async with open_core(max_concurrent_spawns=2) as core:
        launches = await start(core, *[ADA] * 5)
        await hub.until(lambda: len(hub.active_servers) == 2)
        most = 2

        for _ in range(5):
            await hub.until(lambda: hub.active_servers)
            most = max(most, sum(hub.is_spawning(user) for user in hub.users))
            hub.release(next(user for user in hub.users if hub.is_spawning(user)))
            await hub.until(lambda: hub.count("spawn_started") == min(5, hub.count("server_ready") + 2))
        await core.idle()

        assert most == 2
        assert await phases(core, launches) == [Status.READY] * 5


class CountingQueue(SqlQueue):
    """Counts the queries for failing images."""

    queries = 0

    async def failing(self, *, guard: Guard) -> Mapping[str, Failing]:
        self.queries += 1
        return await super().failing(guard=guard)


async def test_simultaneous_launches_share_a_query_for_images(hub: FakeHub, client: HubClient, tmp_path: Path) -> None:
    store = SqlLaunchStore(migrated(tmp_path / "l.sqlite"), sealer=SEALER)
    store.queue = queue = CountingQueue(store.sql, store.news, owner=store.ownership.lease.owner)
    async with store, launching(hub, client, store) as core:
        await asyncio.gather(*(core.service.start(REQUEST, ADA) for _ in range(10)))

        assert queue.queries == 1
        await core.idle()


async def test_callers_take_turns(hub: FakeHub, open_core: OpenCore) -> None:
    async with open_core(max_concurrent_spawns=1) as core:
        hub.spawn_plan(None, SpawnPlan(never=True))
        (first,) = await start(core, ADA)
        await hub.until(lambda: hub.active_servers)
        launches = await start(core, ADA, ADA, BOB, BOB)
        hub.spawn_plan(None, SpawnPlan())
        hub.release(next(iter(hub.users)))
        await core.idle()

        admitted = [(await core.service.get(launch.id)).admitted_at for launch in (first, *launches)]
        in_order = sorted(
            (at, launch.caller.key) for at, launch in zip(admitted, (first, *launches), strict=True) if at
        )
        assert [caller for _, caller in in_order] == ["ada", "bob", "ada", "bob", "ada"]


async def test_a_queued_launch_can_be_cancelled_without_asking_the_hub(hub: FakeHub, open_core: OpenCore) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    async with open_core(max_concurrent_spawns=1) as core:
        _, waiting = await start(core, ADA, ADA)
        await hub.until(lambda: hub.active_servers)

        await core.cancel(waiting)

        assert (await core.service.get(waiting.id)).status is Status.CANCELLED
        assert not hub.asked("create_user", waiting.attempt.username)


async def test_a_launch_that_waits_too_long_fails_with_queue_timeout(hub: FakeHub, open_core: OpenCore) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    async with open_core(max_concurrent_spawns=1, max_wait_s=0.3) as core:
        _, waiting = await start(core, ADA, ADA)

        failed = await core.ended(waiting)

        assert failed.last_event.problem is not None
        assert failed.last_event.problem.code == "queue_timeout"
        assert failed.cleaned_at is not None
        assert not hub.asked("create_user", waiting.attempt.username)


async def test_a_full_queue_accepts_no_launch(hub: FakeHub, open_core: OpenCore) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    async with open_core(max_concurrent_spawns=1, max_queue=2) as core:
        await start(core, ADA)
        await hub.until(lambda: hub.active_servers)
        await start(core, ADA, BOB)

        with pytest.raises(QueueFull):
            await start(core, BOB)


async def test_launches_are_accepted_without_a_queue_while_the_hub_has_room(hub: FakeHub, open_core: OpenCore) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    async with open_core(max_concurrent_spawns=3, max_queue=0) as core:
        launches = await asyncio.gather(*(core.service.start(REQUEST, ADA) for _ in range(3)))
        with pytest.raises(QueueFull):
            await core.service.start(REQUEST, ADA)
        await hub.until(lambda: len(hub.active_servers) == 3)
        for username, server_name in list(hub.active_servers):
            hub.release(username, server_name)
        await core.idle()

        assert await phases(core, launches) == [Status.READY] * 3


class HastyQueue(SqlQueue):
    """Another process admits launches right after a launch was requeued."""

    core: Launching

    async def requeue(self, launch: Launch, step: Step, **how: Any) -> None:
        await super().requeue(launch, step, **how)
        outcome = await self.admit(most=9, weight=lambda _: 1.0, guard=UNGUARDED)
        self.core.admission.resume(outcome.admitted)


async def test_a_requeued_launch_notices_a_sudden_admission(hub: FakeHub, client: HubClient, tmp_path: Path) -> None:
    hub.fail_on("start_server", status=429, headers={"Retry-After": "0"}, message="Too many")
    store = SqlLaunchStore(migrated(tmp_path / "h.sqlite"), sealer=SEALER)
    store.queue = queue = HastyQueue(store.sql, store.news, owner=store.ownership.lease.owner)
    async with (
        asyncio.timeout(4.8),  # the next renewal of the lease, after 5 s, would resume it
        store,
        launching(hub, client, store) as core,
    ):
        queue.core = core

        assert (await core.launch(ADA, REQUEST)).status is Status.READY


class LateQueue(SqlQueue):
    """News of an admission from just before a launch was requeued arrives just after that."""

    core: Launching

    async def requeue(self, launch: Launch, step: Step, **how: Any) -> None:
        held = await self.core.store.ownership.renew()
        await super().requeue(launch, step, **how)
        self.core.admission.resume(one.admitted for one in held if one.admitted is not None)


async def test_late_news_of_an_earlier_admission_does_not_resume_a_requeued_launch(
    hub: FakeHub, client: HubClient, tmp_path: Path
) -> None:
    hub.fail_on("start_server", status=429, headers={"Retry-After": "1"}, message="Too many", times=2)
    store = SqlLaunchStore(migrated(tmp_path / "h.sqlite"), sealer=SEALER)
    store.queue = queue = LateQueue(store.sql, store.news, owner=store.ownership.lease.owner)
    async with (
        asyncio.timeout(20),
        store,
        launching(hub, client, store) as core,
    ):
        queue.core = core
        ready = await core.launch(ADA, REQUEST)
        told = [event for event in await store.log.events(ready.id, after=0) if event.attempt == 1]

    busy = [event.at for event in told if event.message.startswith("JupyterHub is at its limit")]
    again = [event.at for event in told if event.message == "Asking JupyterHub for a server again"]
    assert ready.status is Status.READY
    assert [(then - at).total_seconds() >= 1 for at, then in zip(busy, again, strict=True)] == [True, True]


async def test_a_429_requeues_the_launch_and_pauses_admission(hub: FakeHub, core: Launching) -> None:
    hub.fail_on("start_server", status=429, headers={"Retry-After": "1"}, message="Too many")
    (refused,) = await start(core, ADA)
    await hub.until(lambda: hub.asked("start_server"))
    while (await core.service.get(refused.id)).admitted_at is not None:
        pass
    (second,) = await start(core, BOB)
    assert (await core.service.get(second.id)).admitted_at is None

    await core.idle()

    assert await phases(core, [refused, second]) == [Status.READY] * 2
    assert [launch.attempt.number for launch in [await core.service.get(refused.id)]] == [1]
    told = [event.message for event in await core.store.log.events(refused.id, after=0)]
    assert "JupyterHub is at its limit; asking again in 1 s" in told
    assert len(hub.users) == 2


async def test_repeated_429s_end_in_queue_timeout(hub: FakeHub, open_core: OpenCore, store: SqlLaunchStore) -> None:
    hub.fail_on("start_server", status=429, headers={"Retry-After": "0"}, message="Too many", times=math.inf)
    async with open_core(max_wait_s=4) as core:
        (launch,) = await start(core, ADA)
        await core.idle()

        ended = await core.service.get(launch.id)
        events = await store.log.events(launch.id, after=0)

    assert ended.last_event.problem is not None
    assert ended.last_event.problem.code == "queue_timeout"
    assert len(events) < 12, "the pauses are 1, 2 and 4 s"


@pytest.mark.parametrize("max_wait_s", [60, 3600, 7 * 86400])
def test_requeues_store_fewer_events_than_the_limit_of_an_attempt(max_wait_s: float) -> None:
    hasty = HubBusy("Too many", retry_after_s=1)
    waited, turns = 0.0, 0
    while waited < max_wait_s:
        turns += 1
        waited += pause_after(hasty, turns, default_s=15, longest_s=max(15, max_wait_s / REQUEUES_MAX))

    assert 2 * turns < EVENTS_MAX


async def test_the_launch_timeout_is_suspended_in_the_queue(hub: FakeHub, core: Launching) -> None:
    hub.fail_on("start_server", status=429, headers={"Retry-After": "1"}, message="Too many")
    (launch,) = await start(core, ADA)
    await core.idle()

    ready = await core.service.get(launch.id)
    assert ready.admitted_at is not None
    assert 19 < (ready.deadline_at - ready.admitted_at).total_seconds() <= 20


async def test_queued_launches_survive_a_restart(hub: FakeHub, client: HubClient, tmp_path: Path) -> None:
    url = migrated(tmp_path / "l.sqlite")
    hub.spawn_plan(None, SpawnPlan(never=True))
    async with asyncio.timeout(20):
        async with (
            SqlLaunchStore(url, sealer=SEALER) as store,
            launching(hub, client, store, max_concurrent_spawns=1) as core,
        ):
            launches = await start(core, ADA, ADA, BOB)
            await hub.until(lambda: hub.active_servers)
        hub.spawn_plan(None, SpawnPlan())
        async with (
            SqlLaunchStore(url, sealer=SEALER) as store,
            launching(hub, client, store, max_concurrent_spawns=1) as core,
        ):
            await hub.until(lambda: hub.open_streams)
            hub.release(next(iter(hub.users)))
            await core.idle()

            assert await phases(core, launches) == [Status.READY] * 3
            assert {(await core.service.get(launch.id)).attempt.number for launch in launches} == {1}


async def test_a_queued_launch_stays_queued_in_a_new_attempt(hub: FakeHub, client: HubClient, tmp_path: Path) -> None:
    url = migrated(tmp_path / "l.sqlite")
    hub.fail_on("start_server", status=429, headers={"Retry-After": "60"}, message="Too many")
    async with asyncio.timeout(20):
        async with SqlLaunchStore(url, sealer=SEALER) as store, launching(hub, client, store) as core:
            (refused,) = await start(core, ADA)
            await hub.until(lambda: hub.asked("start_server"))
            while (await core.service.get(refused.id)).admitted_at is not None:
                pass
        async with SqlLaunchStore(url, sealer=SEALER) as store, launching(hub, client, store) as core:
            while (launch := await core.service.get(refused.id)).attempt.number == 1:
                pass

            assert (launch.status, launch.admitted_at) == (Status.WAITING, None)
            assert launch.last_event.message.endswith("Trying again.")


async def test_none_of_many_launches_accepted_at_once_misses_its_admission(hub: FakeHub, open_core: OpenCore) -> None:
    """Any check of the queue may admit a launch, even before its own task has begun."""
    async with (
        open_core(lease_s=600) as core,
        asyncio.timeout(25),
    ):  # the next renewal of the lease would resume it
        await asyncio.gather(*(core.service.start(REQUEST, ADA) for _ in range(30)))
        await core.idle()

        assert hub.count("server_ready") == 30
        assert core.admission._waiting == {}
