"""Consecutive and concurrent launches on one existing account."""

import asyncio

from hublaunch.launch.caller import Caller
from hublaunch.launch.errors import AlreadyLaunching, ServerAlreadyRunning
from hublaunch.launch.model import Launch, LaunchRequest, Status
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.launching import Launching, OpenCore

ALICE = Caller(kind="hub", key="alice")
BOOK = Caller(kind="key", key="book", may_name_user=True)
REQUEST = LaunchRequest(image="a/b")


async def ready(core: Launching, caller: Caller = ALICE, *, username: str = "") -> Launch:
    launch = await core.launch(caller, LaunchRequest(image="a/b", username=username))
    assert launch.status is Status.READY
    return launch


async def test_of_concurrent_launches_of_one_server_one_is_accepted(hub: FakeHub, core: Launching) -> None:
    hub.create_user("alice")
    hub.spawn_plan(None, SpawnPlan(never=True))
    named = LaunchRequest(image="a/b", username="alice")
    told = await asyncio.gather(
        *(core.service.start(REQUEST, ALICE) for _ in range(3)),
        core.service.start(named, BOOK),
        return_exceptions=True,
    )

    refused = [one for one in told if isinstance(one, (AlreadyLaunching, ServerAlreadyRunning))]  # whichever came first
    assert [type(one) for one in told].count(Launch) == 1
    assert len(refused) == 3
    await hub.until(lambda: len(hub.asked("start_server")) == 1)


async def test_launches_of_different_servers_of_one_user_run_concurrently(hub: FakeHub, open_core: OpenCore) -> None:
    hub.create_user("alice")
    async with open_core(named=True) as core:
        await asyncio.gather(*(core.service.start(REQUEST, ALICE) for _ in range(3)))

        await hub.until(lambda: hub.count("server_ready") == 3)


async def test_a_launch_whose_server_is_gone_is_stopped_when_another_replaces_it(hub: FakeHub, core: Launching) -> None:
    hub.create_user("alice")
    first = await ready(core)
    await hub.stop_server("alice", "", remove=False)
    second = await ready(core)

    cancelled = await core.service.cancel(first.id)

    assert cancelled
    assert (await core.service.get(first.id)).status is Status.STOPPED
    assert (await core.service.get(second.id)).status is Status.READY
    assert hub.active_servers == {("alice", "")}


async def test_a_restart_cleans_up_nothing_for_a_replaced_launch(hub: FakeHub, open_core: OpenCore) -> None:
    hub.create_user("alice")
    async with open_core() as core:
        await ready(core)
        await hub.stop_server("alice", "", remove=False)
        await ready(core)
    asked = len(hub.asked("stop_server"))

    async with open_core() as core:
        await ready(core, BOOK, username="")

    assert len(hub.asked("stop_server")) == asked
    assert ("alice", "") in hub.active_servers
