"""Launches that follow each other, or meet, on one existing account."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from app.hub.client import HubClient
from app.launch.account import Accounts, ServerLimits
from app.launch.attempt import Entry
from app.launch.errors import AlreadyLaunching, ServerAlreadyRunning
from app.launch.model import Caller, Launch, LaunchRequest, Status
from app.launch.policy import Policy
from app.launch.service import LaunchService, Terms
from app.sealing import Sealer
from app.store.sql import SqlLaunchStore
from tests.fakes.hub import FakeHub, SpawnPlan

ALICE = Caller(kind="hub", key="alice")
BOOK = Caller(kind="key", key="book", may_name_user=True)
REQUEST = LaunchRequest(image="a/b")


@asynccontextmanager
async def serving(hub: FakeHub, client: HubClient, path: Path, *, named: bool = False) -> AsyncGenerator[LaunchService]:
    limits = ServerLimits(allow_named_servers=named, named_server_limit_per_user=0, hub_url=hub.url)
    entry = Entry(hub_url=hub.url, token_mode="hub", token_lifetime_s=60)
    async with (
        SqlLaunchStore(f"sqlite:///{path}/l.sqlite", sealer=Sealer(["k" * 32], purpose="stored tokens")) as store,
        LaunchService(
            store=store,
            hub=client,
            policy=Policy(["*"]),
            accounts=Accounts(client, create_user=True, limits=limits),
            terms=Terms(launch_timeout_s=20, attempts_max=1, entry=entry),
        ) as service,
        asyncio.timeout(10),
    ):
        yield service


async def ready(service: LaunchService, hub: FakeHub, caller: Caller = ALICE, *, username: str = "") -> Launch:
    launch = await service.start(LaunchRequest(image="a/b", username=username), caller)
    await asyncio.wait(tuple(service._tasks.values()))
    assert (await service.get(launch.id)).status is Status.READY
    return launch


async def test_of_two_that_ask_at_once_for_one_server_one_is_accepted(
    hub: FakeHub, client: HubClient, tmp_path: Path
) -> None:
    hub.create_user("alice")
    hub.spawn_plan(None, SpawnPlan(never=True))
    named = LaunchRequest(image="a/b", username="alice")
    async with serving(hub, client, tmp_path) as service:
        told = await asyncio.gather(
            *(service.start(REQUEST, ALICE) for _ in range(3)), service.start(named, BOOK), return_exceptions=True
        )

        refused = [
            one for one in told if isinstance(one, (AlreadyLaunching, ServerAlreadyRunning))
        ]  # as who was sooner
        assert [type(one) for one in told].count(Launch) == 1
        assert len(refused) == 3
        await hub.until(lambda: len(hub.asked("start_server")) == 1)


async def test_launches_of_different_servers_of_one_user_go_on_beside_each_other(
    hub: FakeHub, client: HubClient, tmp_path: Path
) -> None:
    hub.create_user("alice")
    async with serving(hub, client, tmp_path, named=True) as service:
        await asyncio.gather(*(service.start(REQUEST, ALICE) for _ in range(3)))

        await hub.until(lambda: hub.count("server_ready") == 3)


async def test_a_launch_whose_server_is_gone_is_stopped_when_the_next_one_takes_its_place(
    hub: FakeHub, client: HubClient, tmp_path: Path
) -> None:
    hub.create_user("alice")
    async with serving(hub, client, tmp_path) as service:
        first = await ready(service, hub)
        await hub.stop_server("alice", "", remove=False)
        second = await ready(service, hub)

        cancelled = await service.cancel(first.id)

        assert cancelled
        assert (await service.get(first.id)).status is Status.STOPPED
        assert (await service.get(second.id)).status is Status.READY
        assert hub.active_servers == {("alice", "")}


async def test_a_restart_cleans_up_nothing_for_a_launch_whose_place_was_taken(
    hub: FakeHub, client: HubClient, tmp_path: Path
) -> None:
    hub.create_user("alice")
    async with serving(hub, client, tmp_path) as service:
        await ready(service, hub)
        await hub.stop_server("alice", "", remove=False)
        await ready(service, hub)
    asked = len(hub.asked("stop_server"))

    async with serving(hub, client, tmp_path) as service:
        await ready(service, hub, BOOK, username="")

    assert len(hub.asked("stop_server")) == asked
    assert ("alice", "") in hub.active_servers
