"""The lifespan of the app: opens everything the routes need, in order, and closes it in the opposite order."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, TypedDict

import httpx

from hublaunch.api.callers.admin_links import PURPOSE, AdminLinks
from hublaunch.api.callers.oauth import OAuth
from hublaunch.api.callers.unnamed_proxy import UnnamedProxy
from hublaunch.api.dependencies import Web
from hublaunch.api.health import Health
from hublaunch.api.launch_counter import LaunchCounter
from hublaunch.api.launch_secrets import LaunchSecrets
from hublaunch.api.middleware.access_log import RequestListener
from hublaunch.api.overview import OverviewFeed
from hublaunch.api.pace import WebPace
from hublaunch.api.site import Site
from hublaunch.api.status import LaunchLimits, StatusReport
from hublaunch.api.views import Views
from hublaunch.hub.address import HubPace
from hublaunch.hub.check import HubCheck, needed_scopes
from hublaunch.launch.acceptance.extension import Extensions
from hublaunch.launch.pace import Pace
from hublaunch.launch.rules.quota_rules import QuotaRules
from hublaunch.sealing import Sealer
from hublaunch.settings import Settings
from hublaunch.store.database import described
from hublaunch.wiring.access import IssuedCredentials, check_access, makes_temporary_users, open_access
from hublaunch.wiring.core import open_core
from hublaunch.wiring.limits import open_limiter, quotas_of
from hublaunch.wiring.parts import Parts, open_parts, secret_keys_of
from hublaunch.wiring.pools import known_pools, read_pools
from hublaunch.wiring.rules import binder_images_of, policy_of, session_terms_of
from hublaunch.wiring.startup import warn_about
from hublaunch.wiring.tasks import on_stop_signals

if TYPE_CHECKING:
    from hublaunch.observe.metrics import Metrics

log = logging.getLogger(__name__)

_OVERVIEW_MAX = 500
"""The longest list of the page for admins."""


class State(TypedDict):
    """The lifespan's state, which each request has as `request.state`."""

    web: Web
    request_listeners: Sequence[RequestListener]
    metrics: "Metrics | None"
    oauth: OAuth | None


@asynccontextmanager
async def open_service(
    settings: Settings, *, hub_transport: httpx.AsyncBaseTransport | None, pace: Pace, web_pace: WebPace
) -> AsyncGenerator[State]:
    """Open the service. Raises SettingsFault, StoreError or FileFault if it cannot start."""
    check_access(settings)
    policy, binder_images = policy_of(settings), binder_images_of(settings)
    secret_keys, terms = secret_keys_of(settings), session_terms_of(settings)
    sealer, secrets = Sealer(secret_keys, purpose="stored tokens"), LaunchSecrets(secret_keys)
    async with AsyncExitStack() as stack:
        opening = open_parts(settings, sealer, hub_transport=hub_transport, pace=pace)
        parts, observers = await stack.enter_async_context(opening)
        background = parts.background
        check = _hub_check(settings, parts)
        quotas = quotas_of(settings, parts.files)
        opening_core = open_core(
            settings,
            parts,
            policy=policy,
            quotas=quotas,
            new_id=secrets.new_id,
            hub_version=check.version,
            settled_s=settings.lease_s + HubPace().longest_call_s,
            pace=pace,
        )
        core = await stack.enter_async_context(opening_core)
        limiter = open_limiter(settings, parts.store)
        for name, loop in (("reaper", core.reaper.run), ("hub_check", check.run), ("rate_limits", limiter.run)):
            await stack.enter_async_context(background.running(name, loop))
        unnamed_proxy = UnnamedProxy(asyncio.get_running_loop().time)
        health = _health(parts, check, unnamed_proxy)
        status = _status(settings, parts, health, check, kept_s=web_pace.status_kept_s)
        if observers.metrics is not None:
            observers.metrics.watch(status.conditions)
        overview = _overview(settings, parts, status, quotas, web_pace, heartbeat_s=pace.heartbeat_s)
        stack.enter_context(on_stop_signals(health.stop, core.service.stop, parts.feed.end, overview.end))
        log.info(
            "Hub API at %s, servers under %s, launches in %s",
            settings.hub_api_url,
            settings.hub_url,
            described(settings.database_url),
        )
        warn_about(settings, parts.files.catalogue())
        access = open_access(
            settings, parts.hub, secret_keys, limiter, unnamed_proxy.note, _issued(settings, parts, secret_keys)
        )
        web = Web(
            service=core.service,
            extensions=Extensions(parts.store.session_ends, terms=terms),
            feed=parts.feed,
            views=Views(unseal=sealer.open, token_in_url=settings.token_in_url, prefix=settings.prefix, terms=terms),
            secrets=secrets,
            callers=access.callers,
            health=health,
            counter=LaunchCounter(limiter, address=access.address),
            status=status,
            overview=overview,
            operation=parts.store.operation,
            address=access.address,
            policy=policy,
            catalogue=parts.files.catalogue,
            access=settings.access,
            allowed_extra_args=frozenset(settings.allowed_extra_args),
            binder_images=binder_images,
            prefix=settings.prefix,
            site=_site(settings),
            pace=web_pace,
        )
        yield State(web=web, request_listeners=observers.of_requests, metrics=observers.metrics, oauth=access.oauth)


def _issued(settings: Settings, parts: Parts, secret_keys: Sequence[str]) -> IssuedCredentials:
    return IssuedCredentials(
        keys=parts.files.api_keys,
        invitations=parts.store.invitations if "invitation" in settings.access else None,
        links=AdminLinks(Sealer(secret_keys[:1], purpose=PURPOSE)),
    )


def _site(settings: Settings) -> Site:
    return Site(
        name=settings.site_name,
        logo=settings.site_logo,
        banner=settings.site_banner,
        help=settings.site_help,
        terms=settings.site_terms,
    )


def _hub_check(settings: Settings, parts: Parts) -> HubCheck:
    async def note(mark: str, before_s: float) -> None:
        if await parts.store.queue.note_hub(mark, before_s=before_s):
            log.warning("JupyterHub was restarted, so earlier failed spawns no longer count")

    needed = needed_scopes(temporary_users=makes_temporary_users(settings), mints_tokens=settings.token_mode == "hub")
    return HubCheck(parts.hub, needed=needed, seen=note)


def _health(parts: Parts, check: HubCheck, unnamed_proxy: UnnamedProxy) -> Health:
    return Health(
        store_is_healthy=parts.store.is_healthy,
        space=parts.store.space.report,
        background=parts.background,
        hub=check,
        files={"limits": parts.files.limits, "catalogue": parts.files.catalogue_file},
        unnamed_proxy=unnamed_proxy.report,
        draining_since=parts.store.queue.draining_since,
    )


def _status(settings: Settings, parts: Parts, health: Health, check: HubCheck, *, kept_s: float) -> StatusReport:
    return StatusReport(
        read=partial(parts.store.queue.capacity, guard=parts.guard, most=settings.max_concurrent_spawns),
        read_pools=partial(read_pools, settings, parts.store, parts.files),
        shown_pools=lambda: known_pools(parts.files.catalogue()),
        guard=parts.guard,
        limits=LaunchLimits(max_concurrent_spawns=settings.max_concurrent_spawns, max_queue=settings.max_queue),
        health=health,
        hub=check,
        kept_s=kept_s,
    )


def _overview(
    settings: Settings,
    parts: Parts,
    status: StatusReport,
    quotas: Callable[[], QuotaRules],
    web_pace: WebPace,
    *,
    heartbeat_s: float,
) -> OverviewFeed:
    return OverviewFeed(
        read=partial(
            parts.store.operation.overview,
            guard=parts.guard,
            spawns=settings.max_concurrent_spawns,
            most=_OVERVIEW_MAX,
        ),
        status=status,
        guard=parts.guard,
        quotas=quotas,
        every_s=web_pace.overview_every_s,
        heartbeat_s=heartbeat_s,
    )
