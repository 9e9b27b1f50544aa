"""Faults that are not the launch's: of the records, of a process that ended, of an account that others use too."""

import asyncio
import math
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from hublaunch.hub.client import HubClient
from hublaunch.launch.errors import AlreadyLaunching
from hublaunch.launch.feed import Feed
from hublaunch.launch.model import Caller, Event, Launch, LaunchRequest, Status, Step
from hublaunch.launch.rules.guard import Guard
from hublaunch.store.log import SqlLog
from hublaunch.store.queue import SqlQueue
from hublaunch.store.sql import SqlLaunchStore
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.store.launches import new_launch
from tests.support.launching import SEALER, launching

ANYBODY = Caller(kind="anonymous", key="192.0.2.7")
ADA = Caller(kind="hub", key="ada")
REQUEST = LaunchRequest(image="a/b", repo_url="https://example.org/a/b")


class FaultyLog(SqlLog):
    """Once, at `ready`, the database does not answer: before it has stored that, or after."""

    stores_it: bool | None = None

    async def append(self, launch: Launch, step: Step) -> Event:
        if step.phase is not Status.READY or self.stores_it is None:
            return await super().append(launch, step)
        stores_it, self.stores_it = self.stores_it, None
        if stores_it:
            await super().append(launch, step)
        raise OperationalError("COMMIT", {}, Exception("the server closed the connection"))


class FaultyQueue(SqlQueue):
    """Once the database does not answer when a launch is requeued."""

    loses_requeue = False

    async def requeue(self, launch: Launch, step: Step, **how: Any) -> None:
        if self.loses_requeue:
            self.loses_requeue = False
            raise OperationalError("BEGIN", {}, Exception("the server closed the connection"))
        await super().requeue(launch, step, **how)


class FaultyStore(SqlLaunchStore):
    """A store whose log and queue fail once if a test asks for it."""

    def __init__(self, database_url: str) -> None:
        super().__init__(database_url, sealer=SEALER)
        self.log = self.faulty_log = FaultyLog(self.sql, self.news, SEALER)
        self.queue = self.faulty_queue = FaultyQueue(self.sql, self.news, owner=self.ownership.lease.owner)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[FaultyStore]:
    async with FaultyStore(f"sqlite:///{tmp_path}/l.sqlite") as store, asyncio.timeout(30):
        yield store


@pytest.mark.parametrize("stores_it", [False, True], ids=["and-stores-nothing", "after-it-has-stored-it"])
async def test_a_launch_goes_on_when_the_database_did_not_answer(
    hub: FakeHub, client: HubClient, store: FaultyStore, stores_it: bool
) -> None:
    store.faulty_log.stores_it = stores_it
    async with launching(hub, client, store) as core:
        launch = await core.launch(ANYBODY, REQUEST)
        core.leases.wake()
        while (current := await core.service.get(launch.id)).is_in_progress:
            pass
        await core.idle()

        assert (current.status, current.attempt.number) == (Status.READY, 1)
        assert hub.active_servers == {(launch.attempt.username, "")}
        assert hub.count("spawn_started") == 1


async def test_a_launch_whose_time_ends_while_ready_is_being_stored_is_ready(
    store: FaultyStore, client: HubClient, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def time_out_as_ready_is_stored(launch: Launch, step: Step) -> Event:
        if step.phase is Status.READY:
            await asyncio.sleep(max(0.0, launch.remaining_s) + 0.1)
        return await SqlLog.append(store.log, launch, step)

    monkeypatch.setattr(store.log, "append", time_out_as_ready_is_stored)
    async with launching(hub, client, store, launch_timeout_s=2) as core:
        launch = await core.launch(ANYBODY, REQUEST)

    assert launch.status is Status.READY
    assert hub.count("server_stopped") == 0


async def test_a_launch_goes_on_when_the_database_did_not_answer_as_it_was_put_back_in_queue(
    hub: FakeHub, client: HubClient, store: FaultyStore
) -> None:
    store.faulty_queue.loses_requeue = True
    hub.fail_on("start_server", status=429, headers={"Retry-After": "0"}, message="Too many")
    async with launching(hub, client, store) as core:
        launch = await core.launch(ANYBODY, REQUEST)
        core.leases.wake()
        while (current := await core.service.get(launch.id)).is_in_progress:
            pass

        assert current.status is Status.READY
        assert hub.active_servers == {(current.attempt.username, "")}


async def test_a_server_that_comes_at_once_after_a_429_is_ready(
    hub: FakeHub, client: HubClient, store: FaultyStore
) -> None:
    """The Hub tells nothing of the spawn but its end, as the answer to the start comes when all is over."""
    hub.create_user("ada")
    hub.slow_spawn_timeout = 10
    hub.fail_on("start_server", status=429, headers={"Retry-After": "0"}, message="Too many")
    async with launching(hub, client, store) as core:
        launch = await core.launch(ADA, REQUEST)

    assert launch.status is Status.READY


@pytest.mark.parametrize("status", [503, 403], ids=["is-down", "forbids-the-look"])
async def test_a_launch_that_is_taken_over_ends_also_when_the_hub(
    hub: FakeHub, client: HubClient, store: FaultyStore, status: int
) -> None:
    launch = new_launch(deadline_at=datetime.now(UTC) + timedelta(seconds=0.5))
    await store.intake.accept(launch)
    await store.log.append(launch, Step(phase=Status.LAUNCHING, progress=0, message="Asking"))
    await store.ownership.release()
    hub.fail_on("get_user", status=status, times=math.inf)
    hub.fail_on("stop_server", status=status, times=math.inf)
    async with launching(hub, client, store) as core:
        while (current := await core.service.get(launch.id)).is_in_progress:
            pass

        assert current.status is Status.FAILED
        hub.heal()


@pytest.mark.parametrize("caller", [ANYBODY, ADA], ids=["on-a-temporary-user", "on-an-account"])
async def test_a_spawn_that_failed_while_nobody_followed_it_is_told_with_its_cause_and_not_tried_again(
    hub: FakeHub, client: HubClient, store: FaultyStore, caller: Caller
) -> None:
    hub.create_user("ada")
    hub.spawn_plan(None, SpawnPlan(seconds=1, fails="the server process ended with status 1 before it was ready"))
    async with launching(hub, client, store, attempts_max=4) as core:
        launch = await core.service.start(REQUEST, caller)
        await hub.until(lambda: hub.active_servers)
    await hub.until(lambda: hub.count("spawn_failed"))
    async with launching(hub, client, store, attempts_max=4) as core:
        while (current := await core.service.get(launch.id)).is_in_progress:
            pass
        failures = (await store.queue.capacity(guard=Guard(mode="normal", failure_limit=4), most=50)).failures

    assert current.last_event.problem is not None
    assert (current.attempt.number, current.last_event.problem.code) == (1, "server_exited")
    assert hub.count("spawn_started") == 1
    assert failures == 1


async def test_a_spawn_that_is_cancelled_counts_as_a_failure_where_the_hub_goes_on_with_it(
    hub: FakeHub, client: HubClient, store: FaultyStore
) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    async with launching(hub, client, store) as core:
        launch = await core.service.start(REQUEST, ANYBODY)
        await hub.until(lambda: hub.active_servers)
        while not await core.service.cancel(launch.id):
            pass

        failures = (await store.queue.capacity(guard=Guard(mode="strict", failure_limit=4), most=50)).failures

    assert failures == 1, "of a Hub of unknown version that has to be assumed"


async def test_a_server_on_an_account_is_its_users_own_unless_it_is_what_the_launch_asked_for(
    hub: FakeHub, client: HubClient, store: FaultyStore
) -> None:
    hub.create_user("ada")
    hub.fail_on("start_server", how="hang")
    async with launching(hub, client, store) as core:
        launch = await core.service.start(REQUEST, ADA)
        await hub.until(lambda: hub.asked("start_server"))
        await hub.start_server("ada", "", {"image": "her/own"})

        while not await core.service.cancel(launch.id):
            pass

        assert (await core.service.get(launch.id)).status is Status.CANCELLED
        assert hub.active_servers == {("ada", "")}


async def test_a_process_that_wakes_doubts_nothing_on_an_account_that_was_there_before(
    hub: FakeHub, client: HubClient, store: FaultyStore
) -> None:
    hub.create_user("ada")
    async with launching(hub, client, store) as core:
        hub.spawn_plan(None, SpawnPlan(never=True))
        first = await core.service.start(REQUEST, ADA)
        await hub.until(lambda: hub.active_servers)
        while not await core.service.cancel(first.id):
            pass
        hub.spawn_plan(None, SpawnPlan())
        second = await core.launch(ADA, REQUEST)
        assert second.status is Status.READY

        await store.ownership.clean_up_again(first.id)

        assert await store.upkeep.due(first.id) == []


async def test_a_server_that_has_yet_to_be_cleaned_up_is_not_launched_anew(
    hub: FakeHub, client: HubClient, store: FaultyStore
) -> None:
    hub.create_user("ada")
    hub.spawn_plan(None, SpawnPlan(never=True))
    async with launching(hub, client, store) as core:
        launch = await core.service.start(REQUEST, ADA)
        await hub.until(lambda: hub.active_servers)
        hub.fail_on("get_user", how="hang", hangs_s=3)
        hub.fail_spawn("ada", "boom")
        while (await core.service.get(launch.id)).is_in_progress:
            pass

        with pytest.raises(AlreadyLaunching):
            await core.service.start(REQUEST, ADA)

        hub.spawn_plan(None, SpawnPlan())
        await core.idle()
        assert (await core.launch(ADA, REQUEST)).status is Status.READY


async def test_a_launch_that_nobody_has_begun_begins_with_its_first_attempt(
    hub: FakeHub, client: HubClient, store: FaultyStore
) -> None:
    launch = new_launch(deadline_at=datetime.now(UTC) + timedelta(seconds=20), time_left_s=20)
    await store.intake.accept(launch)  # and its process ends before it has a task
    await store.ownership.release()

    async with launching(hub, client, store) as core:
        core.leases.wake()
        while (current := await core.service.get(launch.id)).is_in_progress:
            pass

        assert (current.status, current.attempt.number) == (Status.READY, 1)
        told = [event.message for event in await store.log.events(launch.id, after=1)]
        assert told[0] == "Asking JupyterHub for a server"


async def test_a_launch_that_cannot_reach_the_hub_fails_without_waiting_for_a_clean_up(
    hub: FakeHub, client: HubClient, store: FaultyStore
) -> None:
    await hub.kill()
    async with launching(hub, client, store, attempts_max=3, max_wait_s=3600) as core, asyncio.timeout(15):
        launch = await core.launch(ANYBODY, REQUEST)

        assert launch.last_event.problem is not None
        assert (launch.status, launch.last_event.problem.code) == (Status.FAILED, "hub_unavailable")
        assert launch.attempt.number == 3
        assert await store.upkeep.due(launch.id) == []


async def test_a_clean_up_that_the_hub_does_not_answer_leaves_the_launch_no_more_time_than_its_own(
    hub: FakeHub, client: HubClient, store: FaultyStore
) -> None:
    hub.fail_on("start_server", how="hang")
    async with (
        launching(hub, client, store, attempts_max=3, max_wait_s=3600, launch_timeout_s=3) as core,
        asyncio.timeout(15),
    ):
        launch = await core.service.start(REQUEST, ANYBODY)
        await hub.until(lambda: hub.asked("start_server"))
        await hub.kill()
        while (current := await core.service.get(launch.id)).is_in_progress:
            pass

        assert current.status is Status.FAILED


async def test_a_launch_that_another_web_server_answers_fails_at_once_and_says_what_answered(
    hub: FakeHub, client: HubClient, store: FaultyStore
) -> None:
    hub.fail_on("create_user", status=301, body="html", headers={"Location": "https://hub.example.org/x?y"})
    async with launching(hub, client, store, attempts_max=3) as core:
        launch = await core.launch(ANYBODY, REQUEST)

    assert launch.last_event.problem is not None
    assert (launch.attempt.number, launch.last_event.problem.code) == (1, "not_the_hub")
    assert "answered 301, a redirect to https://hub.example.org" in launch.last_event.problem.detail
    assert len(hub.requests) == 1


async def test_a_log_that_is_not_there_any_more_ends_its_stream(store: FaultyStore) -> None:
    feed = Feed(store.log, idle_s=60)

    assert [events async for events in feed.follow("01J00000000000000000000000")] == []
