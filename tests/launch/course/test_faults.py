"""Trouble that is not the launch's fault: with the database, with a process that ended, on a shared account."""

import asyncio
import math
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from hublaunch.launch.caller import Caller
from hublaunch.launch.errors import AlreadyLaunching
from hublaunch.launch.feed import Feed
from hublaunch.launch.model import Event, Launch, LaunchRequest, Status, Step
from hublaunch.launch.rules.guard import Guard
from hublaunch.store.log import SqlLog
from hublaunch.store.queue import SqlQueue
from hublaunch.store.sql import SqlLaunchStore
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.store.launches import new_launch
from tests.support.launching import SEALER, Launching, OpenCore
from tests.support.sqlite import migrated

ANYBODY = Caller(kind="anonymous", key="192.0.2.7")
ADA = Caller(kind="hub", key="ada")
REQUEST = LaunchRequest(image="a/b", repo_url="https://example.org/a/b")


class FaultyLog(SqlLog):
    """A log whose database is slow, or does not answer once, when `ready` is stored."""

    stores_it: bool | None = None
    """Whether `ready` is stored although there is no answer; None if there is one."""
    may_store_ready: asyncio.Event | None = None
    stores_ready: asyncio.Event

    async def append(self, launch: Launch, step: Step) -> Event:
        if step.phase is Status.READY and self.may_store_ready:
            self.stores_ready.set()
            await self.may_store_ready.wait()
        if step.phase is not Status.READY or self.stores_it is None:
            return await super().append(launch, step)
        stores_it, self.stores_it = self.stores_it, None
        if stores_it:
            await super().append(launch, step)
        raise OperationalError("COMMIT", {}, Exception("the server closed the connection"))


class FaultyQueue(SqlQueue):
    """A queue whose database does not answer once, when a launch is requeued."""

    loses_requeue = False

    async def requeue(self, launch: Launch, step: Step, **how: Any) -> None:
        if self.loses_requeue:
            self.loses_requeue = False
            raise OperationalError("BEGIN", {}, Exception("the server closed the connection"))
        await super().requeue(launch, step, **how)


class FaultyStore(SqlLaunchStore):
    """A store with a faulty log and a faulty queue."""

    def __init__(self, database_url: str) -> None:
        super().__init__(database_url, sealer=SEALER)
        self.log = self.faulty_log = FaultyLog(self.sql, self.news, SEALER)
        self.faulty_log.stores_ready = asyncio.Event()
        self.queue = self.faulty_queue = FaultyQueue(self.sql, self.news, owner=self.ownership.lease.owner)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[FaultyStore]:
    async with FaultyStore(migrated(tmp_path / "l.sqlite")) as store, asyncio.timeout(30):
        yield store


@pytest.mark.parametrize("stores_it", [False, True], ids=["before-storing", "after-storing"])
async def test_a_launch_continues_after_the_database_did_not_answer(
    hub: FakeHub, core: Launching, store: FaultyStore, stores_it: bool
) -> None:
    store.faulty_log.stores_it = stores_it
    launch = await core.launch(ANYBODY, REQUEST)
    core.leases.wake()
    current = await core.ended(launch)
    await core.idle()

    assert (current.status, current.attempt.number) == (Status.READY, 1)
    assert hub.active_servers == {(launch.attempt.username, "")}
    assert hub.count("spawn_started") == 1


async def test_a_launch_that_times_out_while_ready_is_being_stored_is_ready(
    hub: FakeHub, open_core: OpenCore, store: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.faulty_log.may_store_ready = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with open_core(launch_timeout_s=20) as core:
        launch = await core.service.start(REQUEST, ANYBODY)
        task = core.leases._runs[launch.id].task
        await store.faulty_log.stores_ready.wait()
        now = loop.time
        monkeypatch.setattr(loop, "time", lambda: now() + 20)
        while not task.cancelling():  # noqa: ASYNC110 - no event says so
            await asyncio.sleep(0)
        store.faulty_log.may_store_ready.set()
        await core.idle()

        assert (await core.service.get(launch.id)).status is Status.READY
        assert hub.count("server_stopped") == 0


async def test_a_launch_continues_after_the_database_did_not_answer_its_requeue(
    hub: FakeHub, core: Launching, store: FaultyStore
) -> None:
    store.faulty_queue.loses_requeue = True
    hub.fail_on("start_server", status=429, headers={"Retry-After": "0"}, message="Too many")
    launch = await core.launch(ANYBODY, REQUEST)
    core.leases.wake()
    current = await core.ended(launch)

    assert current.status is Status.READY
    assert hub.active_servers == {(current.attempt.username, "")}


async def test_a_server_that_is_ready_immediately_after_a_429_is_found(hub: FakeHub, open_core: OpenCore) -> None:
    """The Hub answers the start only when the spawn is over, and streams nothing but its end."""
    hub.create_user("ada")
    hub.slow_spawn_timeout = 10
    hub.fail_on("start_server", status=429, headers={"Retry-After": "0"}, message="Too many")
    async with open_core() as core:
        launch = await core.launch(ADA, REQUEST)

    assert launch.status is Status.READY


@pytest.mark.parametrize("status", [503, 403], ids=["is-down", "forbids-the-inspection"])
async def test_an_adopted_launch_ends_even_if_the_hub_does_not_help(
    hub: FakeHub, open_core: OpenCore, store: FaultyStore, status: int
) -> None:
    launch = await store.intake.accept(new_launch(deadline_at=datetime.now(UTC) + timedelta(seconds=0.5)))
    await store.log.append(launch, Step(phase=Status.LAUNCHING, progress=0, message="Asking"))
    await store.ownership.release()
    hub.fail_on("get_user", status=status, times=math.inf)
    hub.fail_on("stop_server", status=status, times=math.inf)
    async with open_core() as core:
        current = await core.ended(launch)

        assert current.status is Status.FAILED
        hub.heal()


@pytest.mark.parametrize("caller", [ANYBODY, ADA], ids=["on-a-temporary-user", "on-an-account"])
async def test_a_spawn_that_failed_unobserved_is_reported_with_its_cause_and_not_retried(
    hub: FakeHub, open_core: OpenCore, store: FaultyStore, caller: Caller
) -> None:
    hub.create_user("ada")
    hub.spawn_plan(None, SpawnPlan(seconds=1, fails="the server process ended with status 1 before it was ready"))
    async with open_core(attempts_max=4) as core:
        launch = await core.service.start(REQUEST, caller)
        await hub.until(lambda: hub.active_servers)
    await hub.until(lambda: hub.count("spawn_failed"))
    async with open_core(attempts_max=4) as core:
        current = await core.ended(launch)
        failures = (await store.queue.capacity(guard=Guard(mode="normal", failure_limit=4), most=50)).failures

    assert current.last_event.problem is not None
    assert (current.attempt.number, current.last_event.problem.code) == (1, "server_exited")
    assert hub.count("spawn_started") == 1
    assert failures == 1


async def test_a_cancelled_spawn_counts_as_a_failure_if_the_hub_continues_it(
    hub: FakeHub, open_core: OpenCore, store: FaultyStore
) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    async with open_core() as core:
        launch = await core.service.start(REQUEST, ANYBODY)
        await hub.until(lambda: hub.active_servers)
        await core.cancel(launch)

        failures = (await store.queue.capacity(guard=Guard(mode="strict", failure_limit=4), most=50)).failures

    assert failures == 1, "a Hub of unknown version may continue it"


async def test_a_server_with_other_options_on_the_account_belongs_to_its_user(hub: FakeHub, core: Launching) -> None:
    hub.create_user("ada")
    hub.fail_on("start_server", how="hang")
    launch = await core.service.start(REQUEST, ADA)
    await hub.until(lambda: hub.asked("start_server"))
    await hub.start_server("ada", "", {"image": "her/own"})

    await core.cancel(launch)

    assert (await core.service.get(launch.id)).status is Status.CANCELLED
    assert hub.active_servers == {("ada", "")}


async def test_a_late_clean_up_is_not_due_on_an_existing_account(hub: FakeHub, core: Launching) -> None:
    hub.create_user("ada")
    hub.spawn_plan(None, SpawnPlan(never=True))
    first = await core.service.start(REQUEST, ADA)
    await hub.until(lambda: hub.active_servers)
    await core.cancel(first)
    hub.spawn_plan(None, SpawnPlan())
    second = await core.launch(ADA, REQUEST)
    assert second.status is Status.READY

    await core.store.ownership.clean_up_again(first.id)

    assert await core.store.upkeep.due(first.id) == []


async def test_no_launch_starts_on_a_server_that_is_still_being_cleaned_up(hub: FakeHub, core: Launching) -> None:
    hub.create_user("ada")
    hub.spawn_plan(None, SpawnPlan(never=True))
    launch = await core.service.start(REQUEST, ADA)
    await hub.until(lambda: hub.active_servers)
    hub.fail_on("get_user", how="hang", hangs_s=3)
    hub.fail_spawn("ada", "boom")
    await core.ended(launch)

    with pytest.raises(AlreadyLaunching):
        await core.service.start(REQUEST, ADA)

    hub.spawn_plan(None, SpawnPlan())
    await core.idle()
    assert (await core.launch(ADA, REQUEST)).status is Status.READY


async def test_an_adopted_launch_without_a_task_makes_attempt_1(open_core: OpenCore, store: FaultyStore) -> None:
    launch = new_launch(deadline_at=datetime.now(UTC) + timedelta(seconds=20), time_left_s=20)
    await store.intake.accept(launch)  # its process ends before it has a task
    await store.ownership.release()

    async with open_core() as core:
        current = await core.ended(launch)

        assert (current.status, current.attempt.number) == (Status.READY, 1)
        told = [event.message for event in await store.log.events(launch.id, after=1)]
        assert told[0] == "Asking JupyterHub for a server"


async def test_a_launch_that_cannot_reach_the_hub_fails_without_waiting_for_clean_up(
    hub: FakeHub, open_core: OpenCore, store: FaultyStore
) -> None:
    await hub.kill()
    async with open_core(attempts_max=3, max_wait_s=3600) as core, asyncio.timeout(15):
        launch = await core.launch(ANYBODY, REQUEST)

        assert launch.last_event.problem is not None
        assert (launch.status, launch.last_event.problem.code) == (Status.FAILED, "hub_unavailable")
        assert launch.attempt.number == 3
        assert await store.upkeep.due(launch.id) == []


async def test_an_unanswered_clean_up_does_not_extend_the_launch_timeout(hub: FakeHub, open_core: OpenCore) -> None:
    hub.fail_on("start_server", how="hang")
    async with (
        open_core(attempts_max=3, max_wait_s=3600, launch_timeout_s=3) as core,
        asyncio.timeout(15),
    ):
        launch = await core.service.start(REQUEST, ANYBODY)
        await hub.until(lambda: hub.asked("start_server"))
        await hub.kill()
        current = await core.ended(launch)

        assert current.status is Status.FAILED


async def test_a_launch_fails_immediately_if_another_server_answers_for_the_hub(
    hub: FakeHub, open_core: OpenCore
) -> None:
    hub.fail_on("create_user", status=301, body="html", headers={"Location": "https://hub.example.org/x?y"})
    async with open_core(attempts_max=3) as core:
        launch = await core.launch(ANYBODY, REQUEST)

    assert launch.last_event.problem is not None
    assert (launch.attempt.number, launch.last_event.problem.code) == (1, "not_the_hub")
    assert "answered 301, a redirect to https://hub.example.org" in launch.last_event.problem.detail
    assert len(hub.requests) == 1


async def test_a_stream_ends_if_its_log_no_longer_exists(store: FaultyStore) -> None:
    feed = Feed(store.log, idle_s=60)

    assert [events async for events in feed.follow("01J00000000000000000000000")] == []
