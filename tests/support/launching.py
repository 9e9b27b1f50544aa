"""The core over a fake Hub and a real store, without HTTP."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from ulid import ULID

from hublaunch.files.catalogue import CatalogueFile
from hublaunch.hub.client import HubClient
from hublaunch.launch.acceptance.service import LaunchService
from hublaunch.launch.caller import Caller
from hublaunch.launch.course.admission import Admission
from hublaunch.launch.course.lease import Leases
from hublaunch.launch.course.lease_clock import LeaseClock
from hublaunch.launch.course.reaper import Reaper
from hublaunch.launch.feed import Feed
from hublaunch.launch.model import Launch, LaunchRequest
from hublaunch.launch.pace import Pace
from hublaunch.launch.rules.guard import Guard
from hublaunch.launch.rules.policy import Policy
from hublaunch.launch.rules.quota_rules import QuotaRules
from hublaunch.sealing import Sealer
from hublaunch.settings import Settings
from hublaunch.store.sql import SqlLaunchStore
from hublaunch.wiring.core import open_core
from hublaunch.wiring.files import Files
from hublaunch.wiring.parts import Parts
from hublaunch.wiring.tasks import Background
from tests.fakes.hub import FakeHub
from tests.support.pace import QUICK

UNGUARDED = Guard(mode="off", failure_limit=4)
NO_LIMITS = QuotaRules()
SEALER = Sealer(["k" * 32], purpose="stored tokens")


@dataclass(frozen=True)
class Launching:
    """An open core with methods for tests."""

    service: LaunchService
    admission: Admission
    leases: Leases
    reaper: Reaper
    store: SqlLaunchStore

    async def idle(self) -> None:
        """Return once no launch has a task."""
        while runs := list(self.leases._runs.values()):
            await asyncio.wait([run.task for run in runs])
            await asyncio.sleep(0)

    async def launch(self, caller: Caller, request: LaunchRequest) -> Launch:
        """Start a launch, and return it once its task has ended."""
        launch = await self.service.start(request, caller)
        await self.idle()
        return await self.service.get(launch.id)

    async def ended(self, launch: Launch) -> Launch:
        """Return the launch once it is no longer in progress."""
        while (current := await self.service.get(launch.id)).is_in_progress:
            pass
        return current

    async def cancel(self, launch: Launch) -> None:
        """Return once the Hub has confirmed the cancellation."""
        while not await self.service.cancel(launch.id):
            pass


OpenCore = Callable[..., AbstractAsyncContextManager[Launching]]


@asynccontextmanager
async def launching(
    hub: FakeHub,
    client: HubClient,
    store: SqlLaunchStore,
    *,
    policy: Policy | None = None,
    limits: QuotaRules = NO_LIMITS,
    named: bool = False,
    attempts_max: int = 1,
    lease_s: float = 15,
    clock: LeaseClock | None = None,
    settled_s: float = 60,
    max_concurrent_spawns: int = 50,
    max_wait_s: float = 20,
    launch_timeout_s: float = 20,
    max_queue: int = 1000,
    guard: Guard = UNGUARDED,
    cull_after_s: float = 3600,
    retention_s: float = 86400,
    session_s: float | None = None,
    catalogue: CatalogueFile | None = None,
    pace: Pace = QUICK,
) -> AsyncGenerator[Launching]:
    """Yield the core of an open store, as `wiring` builds it.

    On leaving, its tasks have ended and its lease is released.
    """
    settings = Settings(hub_url=hub.url, hub_api_token=hub.api_token).model_copy(
        update={  # not validated, because some tests need values that operators may not set
            "allow_named_servers": named,
            "retries": attempts_max,
            "lease_s": lease_s,
            "max_concurrent_spawns": max_concurrent_spawns,
            "max_wait_s": max_wait_s,
            "launch_timeout": launch_timeout_s,
            "max_queue": max_queue,
            "cull_after_s": cull_after_s,
            "retention": retention_s,
            "max_session_s": session_s,
            "token_lifetime_s": 60,
            "hub_guard": guard.mode,
            "hub_failure_limit": guard.failure_limit,
        }
    )
    feed = Feed(store.log, idle_s=60)
    store.news.subscribe(feed.on_news)
    parts = Parts(
        store=store,
        hub=client,
        feed=feed,
        guard=guard,
        clock=clock or LeaseClock(lease_s),
        background=Background(),
        files=Files(catalogue_file=catalogue),
        registry=None,
    )
    async with open_core(
        settings,
        parts,
        policy=policy or Policy(["*"]),
        quotas=lambda: limits,
        new_id=lambda: str(ULID()),
        hub_version=lambda: None,
        settled_s=settled_s,
        pace=pace,
    ) as core:
        core.leases.wake()  # an earlier core on this store may have left launches to continue
        yield Launching(core.service, core.admission, core.leases, core.reaper, store)
