"""Launches that a process drops, while a fault keeps their tasks from ending."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from hublaunch.hub.client import HubClient
from hublaunch.hub.connect import connect_hub
from hublaunch.launch.caller import Caller
from hublaunch.launch.course.lease_clock import LeaseClock
from hublaunch.launch.model import Launch, LaunchRequest, Status
from hublaunch.settings import Settings
from hublaunch.store.log import SqlLog
from hublaunch.store.sql import SqlLaunchStore
from tests.fakes.hub import FakeHub
from tests.store.launches import new_launch
from tests.support.clock import Clock
from tests.support.launching import SEALER, Launching, launching
from tests.support.pace import QUICK

ANYBODY = Caller(kind="anonymous", key="192.0.2.7")
REQUEST = LaunchRequest(image="a/b", repo_url="https://example.org/a/b")
LEASE_S = 15


class StubbornHub:
    """A client of the Hub whose first call to create a user ignores its cancellation until it may go on."""

    def __init__(self, client: HubClient) -> None:
        self._client = client
        self.has_begun = asyncio.Event()
        self.may_go_on = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def create_user(self, username: str) -> Any:
        is_first = not self.has_begun.is_set()
        self.has_begun.set()
        while is_first and not self.may_go_on.is_set():
            with suppress(asyncio.CancelledError):
                await self.may_go_on.wait()
        return await self._client.create_user(username)


class SkippingClock(Clock):
    """A clock that skips these seconds after each look at it."""

    skips_s = 0.0

    def __call__(self) -> float:
        before = self.now
        self.now += self.skips_s
        return before


@pytest.fixture
def now() -> SkippingClock:
    return SkippingClock(1000.0)


@pytest.fixture
def clock(now: SkippingClock) -> LeaseClock:
    return LeaseClock(LEASE_S, now=now)


@pytest.fixture
async def stubborn(settings: Settings, clock: LeaseClock) -> AsyncGenerator[StubbornHub]:
    async with connect_hub(settings, check_lease=clock.check) as client:
        hub = StubbornHub(client)
        yield hub
        hub.may_go_on.set()


@pytest.fixture
async def core(hub: FakeHub, stubborn: Any, store: SqlLaunchStore, clock: LeaseClock) -> AsyncGenerator[Launching]:
    async with launching(hub, stubborn, store, clock=clock, pace=replace(QUICK, drop_s=0)) as core:
        yield core


async def stuck_launch(core: Launching, stubborn: StubbornHub) -> Launch:
    """Start a launch, and return it once its task waits and cannot be cancelled."""
    launch = await core.service.start(REQUEST, ANYBODY)
    await stubborn.has_begun.wait()
    return launch


async def lose_all(store: SqlLaunchStore) -> None:
    """Have another process adopt the launches of this one."""
    own = store.ownership.lease
    await store.ownership.release()
    store.ownership.lease = replace(own, owner="somebody else")
    assert await store.ownership.adopt(limit=9)
    store.ownership.lease = own


async def until_lease(clock: LeaseClock, *, has_run_out: bool) -> None:
    while clock.has_run_out != has_run_out:  # noqa: ASYNC110 - no event says so
        await asyncio.sleep(0)


async def test_a_task_that_does_not_end_delays_no_heartbeat_and_changes_nothing_at_the_hub(
    hub: FakeHub,
    core: Launching,
    stubborn: StubbornHub,
    now: SkippingClock,
    clock: LeaseClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    lost = await stuck_launch(core, stubborn)
    await lose_all(core.store)
    now.now += 2 * LEASE_S

    core.leases.wake()
    await until_lease(clock, has_run_out=False)
    now.now += 2 * LEASE_S
    core.leases.wake()
    await until_lease(clock, has_run_out=False)

    other = await core.service.start(REQUEST, ANYBODY)
    assert (await core.ended(other)).status is Status.READY
    stubborn.may_go_on.set()
    await core.idle()
    assert hub.active_servers == {(other.attempt.username, "")}
    assert list(hub.users) == [other.attempt.username]
    (line,) = [line for line in caplog.messages if "its task has not ended" in line]
    assert lost.id in line


async def test_a_dropped_launch_continues_only_after_its_task_has_ended(
    hub: FakeHub, core: Launching, stubborn: StubbornHub, now: SkippingClock, clock: LeaseClock
) -> None:
    launch = await stuck_launch(core, stubborn)
    task = core.leases._runs[launch.id].task
    now.skips_s = 2 * LEASE_S  # the lease runs out while it is renewed
    core.leases.wake()
    while not task.cancelling():  # noqa: ASYNC110 - no event says so
        await asyncio.sleep(0)
    now.skips_s = 0

    core.leases.wake()
    await until_lease(clock, has_run_out=False)
    other = await core.service.start(REQUEST, ANYBODY)
    assert (await core.ended(other)).status is Status.READY
    assert core.leases._runs[launch.id].task is task

    stubborn.may_go_on.set()
    assert (await core.ended(launch)).status is Status.READY
    assert hub.count("spawn_started") == 2


async def test_a_stop_does_not_wait_for_a_task_that_does_not_end(
    hub: FakeHub, stubborn: Any, store: SqlLaunchStore, clock: LeaseClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with launching(hub, stubborn, store, clock=clock, pace=replace(QUICK, drop_s=0)) as core:
        launch = await stuck_launch(core, stubborn)
        task = core.leases._runs[launch.id].task

    assert not task.done()
    assert [launch.id] == [adopted.id for adopted in await adopted_by_another(store)]
    assert f"launch {launch.id} was dropped" in caplog.text
    stubborn.may_go_on.set()
    await asyncio.wait([task])
    assert not hub.users


async def adopted_by_another(store: SqlLaunchStore) -> list[Launch]:
    store.ownership.lease = replace(store.ownership.lease, owner="somebody else")
    return list(await store.ownership.adopt(limit=9))


class SlowLog(SqlLog):
    """A log whose answers for several launches come late."""

    has_read: asyncio.Event
    may_answer: asyncio.Event

    async def get_many(self, launch_ids: Collection[str]) -> Mapping[str, Launch]:
        launches = await super().get_many(launch_ids)
        self.has_read.set()
        await self.may_answer.wait()
        return launches


async def test_a_launch_that_was_lost_while_it_was_read_is_not_continued(
    hub: FakeHub,
    client: HubClient,
    store: SqlLaunchStore,
    now: SkippingClock,
    clock: LeaseClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    launch = await store.intake.accept(new_launch())
    store.log = slow = SlowLog(store.sql, store.news, SEALER)
    slow.has_read, slow.may_answer = asyncio.Event(), asyncio.Event()
    async with launching(hub, client, store, clock=clock) as core:
        await slow.has_read.wait()
        await lose_all(store)
        now.now += 2 * LEASE_S
        core.leases.wake()
        await until_lease(clock, has_run_out=False)

        slow.may_answer.set()
        other = await core.service.start(REQUEST, ANYBODY)
        assert (await core.ended(other)).status is Status.READY

    assert f"launch {launch.id} is dropped" not in caplog.text
