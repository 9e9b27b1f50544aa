"""LaunchService when a request and a launch's task meet."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hublaunch.launch.caller import Caller
from hublaunch.launch.errors import ImageNotAllowed
from hublaunch.launch.model import Event, Launch, LaunchRequest, Status, Step
from hublaunch.launch.rules.policy import Policy
from hublaunch.store.log import SqlLog
from hublaunch.store.ownership import SqlOwnership
from hublaunch.store.sql import SqlLaunchStore
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.launching import SEALER, Launching, OpenCore
from tests.support.sqlite import migrated

CALLER = Caller(kind="anonymous", key="127.0.0.1")


class GatedLog(SqlLog):
    """Returns from storing `ready` only once the gate is open."""

    gate: asyncio.Event
    ready_stored: asyncio.Event

    async def append(self, launch: Launch, step: Step) -> Event:
        event = await super().append(launch, step)
        if step.phase is Status.READY:
            self.ready_stored.set()
            await self.gate.wait()
        return event


class GatedOwnership(SqlOwnership):
    """Returns from storing a cancellation only once the gate is open."""

    gate: asyncio.Event
    cancel_stored: asyncio.Event

    async def request_cancel(self, launch_id: str, *, by: Caller | None = None) -> None:
        await super().request_cancel(launch_id, by=by)
        self.cancel_stored.set()
        await self.gate.wait()


class GatedStore(SqlLaunchStore):
    """A store whose log and ownership have a gate, which is open at first."""

    def __init__(self, path: Path) -> None:
        super().__init__(migrated(path), sealer=SEALER)
        self.gate, self.ready_stored, self.cancel_stored = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.log = log = GatedLog(self.sql, self.news, SEALER)
        log.gate, log.ready_stored = self.gate, self.ready_stored
        self.ownership = ownership = GatedOwnership(self.sql, self.news, self.ownership.lease)
        ownership.gate, ownership.cancel_stored = self.gate, self.cancel_stored
        self.gate.set()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[GatedStore]:
    async with GatedStore(tmp_path / "launches.sqlite") as store, asyncio.timeout(20):
        yield store


async def test_a_cancellation_at_the_very_end_is_carried_out(hub: FakeHub, core: Launching, store: GatedStore) -> None:
    store.gate.clear()
    launch = await core.service.start(LaunchRequest(image="a/b"), CALLER)
    await store.ready_stored.wait()
    cancelling = asyncio.create_task(core.service.cancel(launch.id))
    await store.cancel_stored.wait()

    store.gate.set()
    await cancelling

    await hub.until(lambda: not hub.users)
    while not await core.service.cancel(launch.id):
        pass
    assert (await core.service.get(launch.id)).status is Status.STOPPED


async def test_progress_stored_during_a_cancellation_stays(hub: FakeHub, core: Launching, store: GatedStore) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    stored = asyncio.Event()
    hub.fail_on("stop_server", how="hang", until=stored)
    launch = await core.service.start(LaunchRequest(image="a/b"), CALLER)
    await hub.until(lambda: hub.open_streams)
    await core.service.cancel(launch.id)
    await hub.until(lambda: hub.asked("stop_server"))

    await store.log.append(launch, Step(phase=Status.LAUNCHING, progress=70, message="on its way before"))
    stored.set()
    await core.idle()

    last = (await core.service.get(launch.id)).last_event
    assert (last.phase, last.progress) == (Status.CANCELLED, 70)


async def test_the_images_a_caller_may_launch_depend_on_their_key_and_groups(hub: FakeHub, open_core: OpenCore) -> None:
    policy = Policy(["python"], group_allowed_images={"gpu": ["quay.io/gpu/*"]})
    member = Caller(kind="hub", key="alice", groups=frozenset({"gpu"}))
    key = Caller(kind="key", key="book", allowed_images=("rocker/*",))

    async with open_core(policy=policy) as core:
        with pytest.raises(ImageNotAllowed):
            await core.service.start(LaunchRequest(image="quay.io/gpu/torch"), CALLER)
        with pytest.raises(ImageNotAllowed):
            await core.service.start(LaunchRequest(image="python"), key)
        hub.create_user("alice")
        await core.service.start(LaunchRequest(image="quay.io/gpu/torch"), member)
        await core.service.start(LaunchRequest(image="rocker/r-ver"), key)
        await hub.until(lambda: hub.count("server_ready") == 2)


async def test_a_cancelled_ready_launch_is_cleaned_up_once(hub: FakeHub, core: Launching, store: GatedStore) -> None:
    """A second clean-up would stop a server that the user has started since, on their own account."""
    hub.create_user("ada")
    launch = await core.service.start(LaunchRequest(image="a/b"), Caller(kind="hub", key="ada"))
    await core.idle()
    assert (await core.service.get(launch.id)).status is Status.READY

    while not await core.service.cancel(launch.id):
        pass

    assert (await core.service.get(launch.id)).status is Status.STOPPED
    assert len(hub.asked("stop_server")) == 1


async def test_a_user_created_after_the_cancellation_is_deleted_too(
    hub: FakeHub, open_core: OpenCore, store: GatedStore
) -> None:
    """The request to create the user was cancelled while a proxy in front of the Hub held it back."""
    hub.fail_on("create_user", how="hang")
    async with open_core(settled_s=0, lease_s=1) as core:
        launch = await core.service.start(LaunchRequest(image="a/b"), CALLER)
        await hub.until(lambda: hub.asked("create_user"))
        while not await core.service.cancel(launch.id):
            pass
        hub.create_user(launch.attempt.username)

        core.leases.wake()
        await hub.until(lambda: not hub.users)
        await core.idle()

        assert (await core.service.get(launch.id)).status is Status.CANCELLED
        assert await store.upkeep.due(launch.id) == []
