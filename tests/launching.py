"""The core over a fake Hub and a real store, without HTTP."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.hub.client import HubClient
from app.launch.account import Accounts, ServerLimits
from app.launch.attempt import Entry
from app.launch.course import Course, Terms
from app.launch.lease import LeaseClock, Leases
from app.launch.model import Caller, Launch, LaunchRequest
from app.launch.policy import Policy
from app.launch.reaper import Keeping, Reaper
from app.launch.service import LaunchService
from app.sealing import Sealer
from app.store.sql import SqlLaunchStore
from tests.fakes.hub import FakeHub

SEALER = Sealer(["k" * 32], purpose="stored tokens")


@dataclass(frozen=True)
class Launching:
    """What `main` builds around the core."""

    service: LaunchService
    leases: Leases
    reaper: Reaper
    store: SqlLaunchStore

    async def idle(self) -> None:
        """Return once no launch has a task."""
        while runs := list(self.leases._runs.values()):
            await asyncio.wait([run.task for run in runs])
            await asyncio.sleep(0)

    async def launch(self, caller: Caller, request: LaunchRequest) -> Launch:
        """Start a launch; it as it stands once nothing more happens to it."""
        launch = await self.service.start(request, caller)
        await self.idle()
        return await self.service.get(launch.id)


@asynccontextmanager
async def launching(
    hub: FakeHub,
    client: HubClient,
    store: SqlLaunchStore,
    *,
    policy: Policy | None = None,
    named: bool = False,
    attempts_max: int = 1,
    lease_s: float = 15,
    settled_s: float = 60,
    cull_after_s: float = 3600,
    retention_s: float = 86400,
) -> AsyncGenerator[Launching]:
    """An open store's core; on leaving, its tasks have ended and its lease is given up."""
    limits = ServerLimits(allow_named_servers=named, named_server_limit_per_user=0, hub_url=hub.url)
    entry = Entry(hub_url=hub.url, token_mode="hub", token_lifetime_s=60)
    terms = Terms(launch_timeout_s=20, attempts_max=attempts_max, entry=entry, settled_s=settled_s)
    reaper = Reaper(store=store, hub=client, keeping=Keeping(cull_after_s=cull_after_s, retention_s=retention_s))
    course = Course(store=store, hub=client, terms=terms)
    async with Leases(store=store, course=course, lease_s=lease_s, clock=LeaseClock(lease_s)) as leases:
        service = LaunchService(
            store=store,
            leases=leases,
            reaper=reaper,
            policy=policy or Policy(["*"]),
            accounts=Accounts(client, create_user=True, limits=limits),
            launch_timeout_s=20,
            retention_s=retention_s,
        )
        yield Launching(service, leases, reaper, store)
