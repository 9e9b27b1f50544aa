"""The core over a fake Hub and a real store, without HTTP."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ulid import ULID

from hublaunch.hub.client import HubClient
from hublaunch.launch.acceptance.acceptance import Acceptance, AcceptanceTerms
from hublaunch.launch.acceptance.account import Accounts, ServerLimits
from hublaunch.launch.acceptance.checks import Checks
from hublaunch.launch.acceptance.quota_reclaim import QuotaReclaim
from hublaunch.launch.acceptance.reuse import ExistingLaunches
from hublaunch.launch.acceptance.service import LaunchService
from hublaunch.launch.course.admission import Admission
from hublaunch.launch.course.attempt import Entry
from hublaunch.launch.course.course import Course, Terms
from hublaunch.launch.course.lease import LeaseClock, Leases
from hublaunch.launch.course.reaper import Keeping, Reaper
from hublaunch.launch.feed import Feed
from hublaunch.launch.model import Caller, Launch, LaunchRequest
from hublaunch.launch.pace import Pace
from hublaunch.launch.rules.guard import Guard
from hublaunch.launch.rules.policy import Policy
from hublaunch.launch.rules.queue_order import equal
from hublaunch.launch.rules.quotas import Limits
from hublaunch.sealing import Sealer
from hublaunch.store.sql import SqlLaunchStore
from hublaunch.wiring.tasks import Background
from tests.fakes.hub import FakeHub
from tests.support.pace import QUICK

UNGUARDED = Guard(mode="off", failure_limit=4)
NO_LIMITS = Limits()
SEALER = Sealer(["k" * 32], purpose="stored tokens")


@dataclass(frozen=True)
class Launching:
    """What `main` builds around the core."""

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
    limits: Limits = NO_LIMITS,
    named: bool = False,
    attempts_max: int = 1,
    lease_s: float = 15,
    settled_s: float = 60,
    max_concurrent_spawns: int = 50,
    max_wait_s: float = 20,
    launch_timeout_s: float = 20,
    max_queue: int = 1000,
    guard: Guard = UNGUARDED,
    cull_after_s: float = 3600,
    retention_s: float = 86400,
    pace: Pace = QUICK,
) -> AsyncGenerator[Launching]:
    """An open store's core; on leaving, its tasks have ended and its lease is given up."""
    server_limits = ServerLimits(allow_named_servers=named, named_server_limit_per_user=0)
    entry = Entry(token_mode="hub", token_lifetime_s=60)
    admission = Admission(
        store=store, most=max_concurrent_spawns, weight=equal, guard=guard, watchers=Feed(store, idle_s=60), pace=pace
    )
    terms = Terms(
        max_wait_s=max_wait_s,
        launch_timeout_s=launch_timeout_s,
        attempts_max=attempts_max,
        entry=entry,
        settled_s=settled_s,
    )
    keeping = Keeping(cull_after_s=cull_after_s, retention_s=retention_s)
    reaper = Reaper(store=store, hub=client, keeping=keeping, pace=pace)
    course = Course(store=store, hub=client, admission=admission, terms=terms, pace=pace)
    clock = LeaseClock(lease_s)
    background = Background()
    async with (
        background.running("admission", admission.run),
        Leases(store=store, course=course, admission=admission, lease_s=lease_s, clock=clock, pace=pace) as leases,
        background.running("leases", leases.run),
    ):
        existing = ExistingLaunches(store=store, reaper=reaper)
        accounts = Accounts(client, create_user=True, limits=server_limits)
        acceptance = Acceptance(
            store=store,
            checks=Checks(policy=policy or Policy(["*"]), accounts=accounts, existing=existing, admission=admission),
            admission=admission,
            reclaim=QuotaReclaim(store=store, reaper=reaper),
            terms=AcceptanceTerms(
                quotas=lambda: limits,
                in_progress_max=max_concurrent_spawns + max_queue,
                weight=equal,
                launch_timeout_s=launch_timeout_s,
                max_wait_s=max_wait_s,
            ),
        )
        service = LaunchService(
            store=store,
            acceptance=acceptance,
            existing=existing,
            leases=leases,
            retention_s=retention_s,
            new_id=lambda: str(ULID()),
        )
        yield Launching(service, admission, leases, reaper, store)
