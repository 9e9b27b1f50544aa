"""LaunchService where its tasks meet."""

import asyncio
from pathlib import Path

from app.hub.client import HubClient
from app.launch.account import Accounts, ServerLimits
from app.launch.attempt import Entry
from app.launch.model import Caller, Event, LaunchRequest, Status, Step
from app.launch.policy import ImagePolicy
from app.launch.service import LaunchService, Terms
from app.sealing import Sealer
from app.store.sql import SqlLaunchStore
from tests.fakes.hub import FakeHub

CALLER = Caller(kind="anonymous", key="127.0.0.1")


class GatedStore(SqlLaunchStore):
    """Answers for `ready` and for a cancellation, both stored, only once the gate is open."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"sqlite:///{path}", sealer=Sealer(["k" * 32], purpose="stored tokens"))
        self.gate = asyncio.Event()
        self.ready_stored = asyncio.Event()
        self.cancel_stored = asyncio.Event()

    async def append(self, launch_id: str, step: Step) -> Event:
        event = await super().append(launch_id, step)
        if step.phase is Status.READY:
            self.ready_stored.set()
            await self.gate.wait()
        return event

    async def request_cancel(self, launch_id: str) -> None:
        await super().request_cancel(launch_id)
        self.cancel_stored.set()
        await self.gate.wait()


async def test_a_cancellation_that_meets_the_very_end_of_the_launch_is_carried_out(
    hub: FakeHub, client: HubClient, tmp_path: Path
) -> None:
    entry = Entry(hub_url=hub.url, token_mode="hub", token_lifetime_s=60)
    limits = ServerLimits(allow_named_servers=False, named_server_limit_per_user=0, hub_url=hub.url)
    accounts = Accounts(client, create_user=True, limits=limits)
    terms = Terms(launch_timeout_s=20, attempts_max=1, entry=entry)
    async with (
        GatedStore(tmp_path / "launches.sqlite") as store,
        LaunchService(store=store, hub=client, images=ImagePolicy(["*"]), accounts=accounts, terms=terms) as service,
        asyncio.timeout(10),
    ):
        launch = await service.start(LaunchRequest(image="a/b"), CALLER)
        await store.ready_stored.wait()
        cancelling = asyncio.create_task(service.cancel(launch.id))
        await store.cancel_stored.wait()

        store.gate.set()
        await cancelling

        await hub.until(lambda: not hub.users)
        while not await service.cancel(launch.id):
            pass
        assert (await service.get(launch.id)).status is Status.STOPPED
