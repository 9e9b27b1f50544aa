"""The core over its parts: acceptance, the queue, this process's launches, and the work after their end."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from hublaunch.launch.acceptance.acceptance import Acceptance, AcceptanceTerms
from hublaunch.launch.acceptance.account import Accounts
from hublaunch.launch.acceptance.checks import Checks
from hublaunch.launch.acceptance.preflight import Preflight
from hublaunch.launch.acceptance.quota_reclaim import QuotaReclaim
from hublaunch.launch.acceptance.reuse import ExistingLaunches
from hublaunch.launch.acceptance.service import LaunchService
from hublaunch.launch.course.admission import Admission
from hublaunch.launch.course.lease import Leases
from hublaunch.launch.course.reaper import Reaper, Retention
from hublaunch.launch.course.runner import Runner
from hublaunch.launch.course.session_watch import SessionWatch
from hublaunch.launch.course.stalls import Stalls
from hublaunch.launch.course.terms import Terms
from hublaunch.launch.pace import Pace
from hublaunch.launch.rules.policy import Policy
from hublaunch.launch.rules.preflight import PreflightTerms
from hublaunch.launch.rules.queue_order import weight_of
from hublaunch.launch.rules.quota_rules import QuotaRules
from hublaunch.launcher import Launcher
from hublaunch.settings import Settings
from hublaunch.wiring.parts import Parts
from hublaunch.wiring.rules import entry_of, server_limits_of
from hublaunch.wiring.warm import keeping_pools, warm_servers


@dataclass(frozen=True, kw_only=True, slots=True)
class Core:
    """The core of one process."""

    service: LaunchService
    admission: Admission
    leases: Leases
    reaper: Reaper


@asynccontextmanager
async def open_core(
    settings: Settings,
    parts: Parts,
    *,
    policy: Policy,
    quotas: Callable[[], QuotaRules],
    new_id: Callable[[], str],
    hub_version: Callable[[], str | None],
    settled_s: float,
    pace: Pace,
) -> AsyncGenerator[Core]:
    """Run launches until the context is left; then no launch has a task, and the lease is released.

    `new_id` makes the ULID of a launch. `settled_s`: seconds after which a Hub request by a process that lost its
    lease can no longer have an effect.
    """
    store, hub = parts.store, parts.hub
    admission = _admission(settings, parts, pace)
    preflight = _preflight(settings, parts)
    terms = _terms(settings, settled_s, hub_version)
    retention = Retention(cull_after_s=settings.cull_after_s, retention_s=settings.retention)
    reaper = Reaper(upkeep=store.upkeep, history=store.history, hub=hub, retention=retention, pace=pace)
    leases = Leases(
        ownership=store.ownership,
        launch_log=store.log,
        runner=_runner(parts, terms, admission=admission, preflight=preflight, pace=pace),
        admission=admission,
        clock=parts.clock,
        pace=pace,
    )
    store.news.subscribe(admission.on_news)
    store.news.subscribe(leases.on_news)
    async with (
        leases,
        parts.background.running("leases", leases.run),
        parts.background.running("admission", admission.run),
        parts.background.running("stalls", Stalls(silences=store.silences, launch_log=store.log, pace=pace).run),
        parts.background.running("session_ends", SessionWatch(store.session_ends, pace=pace).run),
        keeping_pools(settings, parts, leases=leases, reaper=reaper, quotas=quotas, new_id=new_id, pace=pace),
    ):
        existing = ExistingLaunches(launch_log=store.log, reaper=reaper)
        checks = Checks(
            catalogue=parts.files.catalogue,
            policy=policy,
            accounts=Accounts(hub, create_user=settings.create_user, limits=server_limits_of(settings)),
            existing=existing,
            admission=admission,
            warm=warm_servers(settings, parts),
            hook=Launcher(settings, hub=hub).hook,
            preflight=preflight,
        )
        service = LaunchService(
            launch_log=store.log,
            acceptance=_acceptance(settings, parts, checks=checks, quotas=quotas, reaper=reaper),
            existing=existing,
            leases=leases,
            retention_s=settings.retention,
            new_id=new_id,
        )
        yield Core(service=service, admission=admission, leases=leases, reaper=reaper)


def _terms(settings: Settings, settled_s: float, hub_version: Callable[[], str | None]) -> Terms:
    return Terms(
        max_wait_s=settings.max_wait_s,
        launch_timeout_s=settings.launch_timeout,
        attempts_max=settings.retries,
        entry=entry_of(settings),
        session_s=settings.max_session_s,
        settled_s=settled_s,
        hub_version=hub_version,
    )


def _admission(settings: Settings, parts: Parts, pace: Pace) -> Admission:
    return Admission(
        queue=parts.store.queue,
        most=settings.max_concurrent_spawns,
        weight=weight_of(settings.caller_weights),
        guard=parts.guard,
        followers=parts.feed,
        pace=pace,
    )


def _runner(parts: Parts, terms: Terms, *, admission: Admission, preflight: Preflight | None, pace: Pace) -> Runner:
    return Runner(
        launch_log=parts.store.log,
        upkeep=parts.store.upkeep,
        pools=parts.store.pools,
        hub=parts.hub,
        admission=admission,
        terms=terms,
        preflight=preflight,
        pace=pace,
    )


def _preflight(settings: Settings, parts: Parts) -> Preflight | None:
    """Return the pre-flight that the settings ask for; None if it is off."""
    if parts.registry is None:
        return None
    return Preflight(
        registry=parts.registry,
        queue=parts.store.queue,
        launch_log=parts.store.log,
        terms=PreflightTerms(mode=settings.preflight, pulls_alike=settings.registry_config_pulls),
        pins_images=settings.pin_digest,
    )


def _acceptance(
    settings: Settings,
    parts: Parts,
    *,
    checks: Checks,
    quotas: Callable[[], QuotaRules],
    reaper: Reaper,
) -> Acceptance:
    return Acceptance(
        intake=parts.store.intake,
        checks=checks,
        admission=checks.admission,
        reclaim=QuotaReclaim(upkeep=parts.store.upkeep, reaper=reaper),
        terms=AcceptanceTerms(
            quotas=quotas,
            in_progress_max=settings.max_concurrent_spawns + settings.max_queue,
            weight=weight_of(settings.caller_weights),
            launch_timeout_s=settings.launch_timeout,
            max_wait_s=settings.max_wait_s,
        ),
    )
