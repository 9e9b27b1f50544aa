"""create_app(settings): the one place that builds and joins everything."""

import asyncio
import logging
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypedDict

import httpx
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from hublaunch.api import docs, health, pages, routes, status
from hublaunch.api.access_log import PROBED, RequestListener, Requests
from hublaunch.api.callers import oauth
from hublaunch.api.callers.auth import LaunchSecrets
from hublaunch.api.callers.oauth import OAuth
from hublaunch.api.callers.unnamed_proxy import UnnamedProxy
from hublaunch.api.concurrency import RequestsAtOnce
from hublaunch.api.dependencies import Web
from hublaunch.api.errors import add_error_handlers
from hublaunch.api.hardening import Bounds, SecurityHeaders
from hublaunch.api.health import Health
from hublaunch.api.middleware import HeadRequests, JsonBodies, KnownHosts, StartFaults
from hublaunch.api.origin import OwnOrigin
from hublaunch.api.status import CapacityReport
from hublaunch.api.views import Views
from hublaunch.binderhub import routes as binder
from hublaunch.files.keys import KeysFault
from hublaunch.files.limits import LimitsFault, LimitsFile
from hublaunch.hub.check import HubCheck, needed_scopes
from hublaunch.hub.client import HubClient
from hublaunch.hub.connect import connect_hub
from hublaunch.hub.rest import LONGEST_CALL_S
from hublaunch.launch.acceptance.acceptance import Acceptance, AcceptanceTerms
from hublaunch.launch.acceptance.account import Accounts
from hublaunch.launch.acceptance.checks import Checks
from hublaunch.launch.acceptance.quota_reclaim import QuotaReclaim
from hublaunch.launch.acceptance.reuse import ExistingLaunches
from hublaunch.launch.acceptance.service import LaunchService
from hublaunch.launch.course.admission import Admission
from hublaunch.launch.course.course import Course, Terms
from hublaunch.launch.course.lease import LeaseClock, Leases
from hublaunch.launch.course.reaper import Keeping, Reaper
from hublaunch.launch.feed import Feed
from hublaunch.launch.pace import Pace
from hublaunch.launch.ports import LaunchStore
from hublaunch.launch.rules.guard import Guard
from hublaunch.launch.rules.policy import Policy
from hublaunch.launch.rules.queue_order import weight_of
from hublaunch.launch.rules.quotas import Limits, Rule, Scope
from hublaunch.launcher import Launcher, binder_images_of, entry_of, limits_of, policy_of
from hublaunch.sealing import Sealer
from hublaunch.serving.connections import room_for
from hublaunch.settings import Settings, SettingsFault, load_settings, unknown_variables
from hublaunch.store.database import described, is_shared, secret_key
from hublaunch.store.errors import StoreError
from hublaunch.store.sql import SqlLaunchStore
from hublaunch.wiring.access import check_access, makes_temporary_users, open_access
from hublaunch.wiring.logs import configure_logging
from hublaunch.wiring.observing import observing, show_metrics
from hublaunch.wiring.rates import open_limiter
from hublaunch.wiring.tasks import Background, on_stop_signals

if TYPE_CHECKING:
    from hublaunch.observe.metrics import Metrics

log = logging.getLogger(__name__)

_ACTING = (binder.PATH, "/oauth_login", "/oauth_callback")
"""Where a GET does something."""


class _State(TypedDict):
    web: Web
    request_listeners: Sequence[RequestListener]
    metrics: "Metrics | None"
    oauth: OAuth | None


def create_app(
    settings: Settings | None = None, *, hub_transport: httpx.AsyncBaseTransport | None = None, pace: Pace = Pace()
) -> FastAPI:
    """The service as an ASGI app; what it needs is opened in its lifespan.

    Without `settings` (`uvicorn --factory hublaunch.main:create_app`) they are those of `settings_or_exit`.
    `hub_transport` takes the place of the connections to the Hub. `pace` is for tests.
    """
    if settings is None:
        settings = settings_or_exit()
    prefix = settings.routed_prefix
    app = FastAPI(
        title="hublaunch",
        summary="Launch-as-a-service for JupyterHub.",
        version="0.1.0",
        docs_url=None,
        openapi_url=f"{prefix}/openapi.json",
        redoc_url=None,
        redirect_slashes=False,  # its redirects are absolute, and to http where a proxy ends TLS
        lifespan=lambda _: _lifespan(settings, hub_transport, pace),
        middleware=_middleware(settings),
    )
    app.include_router(routes.router, prefix=prefix)
    app.include_router(binder.router, prefix=prefix)
    if "hub" in settings.access:
        app.include_router(oauth.router, prefix=prefix)
    app.include_router(health.router, prefix=prefix)
    app.include_router(status.router, prefix=prefix)
    app.include_router(docs.router, prefix=prefix)
    app.include_router(pages.router, prefix=prefix)
    if prefix:
        app.include_router(health.router, include_in_schema=False)
        app.add_route(prefix, pages.redirect_to(f"{settings.prefix}/"), include_in_schema=False)
    if settings.metrics_public:
        for path in _at_root_too("/metrics", prefix=prefix):
            app.add_route(path, show_metrics, include_in_schema=False)
    add_error_handlers(app)
    return app


@asynccontextmanager
async def _lifespan(
    settings: Settings, hub_transport: httpx.AsyncBaseTransport | None, pace: Pace
) -> AsyncGenerator[_State]:
    check_access(settings)
    policy, binder_images = policy_of(settings), binder_images_of(settings)
    limits_file = LimitsFile(settings.limits_file) if settings.limits_file is not None else None
    secret_keys = _secret_keys(settings)
    sealer, secrets = Sealer(secret_keys, purpose="stored tokens"), LaunchSecrets(secret_keys)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(
            SqlLaunchStore(
                settings.database_url,
                sealer=sealer,
                lease_s=settings.lease_s,
                key_kept_s=settings.idempotency_ttl,
                min_free_space=settings.min_free_space * 1024 * 1024,
            )
        )
        clock, shared = LeaseClock(settings.lease_s), is_shared(settings.database_url)
        feed = Feed(store, idle_s=pace.heartbeat_s)
        guard = Guard(mode=settings.hub_guard, failure_limit=settings.hub_failure_limit)
        background = Background()
        told = await stack.enter_async_context(observing(settings, store, feed, guard, background))
        hub = await stack.enter_async_context(
            connect_hub(
                settings,
                transport=hub_transport,
                check_lease=clock.check if shared else None,  # on a file nobody can have taken anything over
                listeners=told.of_hub,
            )
        )
        if shared:
            await stack.enter_async_context(background.running("notices", store.listen))
            await stack.enter_async_context(background.running("feed", partial(feed.keep_up, every_s=pace.poll_log_s)))
        if limits_file is not None:
            await stack.enter_async_context(background.running("limits", limits_file.run))
        limits = _limits(limits_file, settings.anonymous_quota)
        check = _hub_check(settings, hub, store)
        service = await stack.enter_async_context(
            _launching(
                settings,
                policy,
                limits,
                store,
                hub,
                feed,
                clock,
                guard,
                check.version,
                secrets.new_id,
                background,
                pace,
            )
        )
        await stack.enter_async_context(background.running("hub_check", check.run))
        limiter = open_limiter(settings, store)
        await stack.enter_async_context(background.running("rate_limits", limiter.run))
        unnamed_proxy = UnnamedProxy(asyncio.get_running_loop().time)
        state = Health(
            store_is_healthy=store.is_healthy,
            space=store.space.report,
            background=background,
            hub=check,
            limits=limits_file,
            unnamed_proxy=unnamed_proxy.report,
        )
        stack.enter_context(on_stop_signals(state.stop, service.stop, feed.end))
        log.info(
            "Hub API at %s, servers under %s, launches in %s",
            settings.hub_api_url,
            settings.hub_url,
            described(settings.database_url),
        )
        _warn(settings)
        access = open_access(settings, hub, secret_keys, limiter, unnamed_proxy.note)
        yield {
            "oauth": access.oauth,
            "request_listeners": told.of_requests,
            "metrics": told.metrics,
            "web": Web(
                service=service,
                feed=feed,
                views=Views(unseal=sealer.open, token_in_url=settings.token_in_url, prefix=settings.prefix),
                secrets=secrets,
                callers=access.callers,
                health=state,
                capacity=_capacity(settings, store, guard, state, check),
                limiter=limiter,
                address=access.address,
                policy=policy,
                access=settings.access,
                allowed_extra_args=frozenset(settings.allowed_extra_args),
                binder_images=binder_images,
                prefix=settings.prefix,
            ),
        }


def _secret_keys(settings: Settings) -> Sequence[str]:
    """The one that seals, then those that only open."""
    given = settings.secret_key.get_secret_value() if settings.secret_key else None
    return [
        secret_key(given, settings.database_url),
        *(key.get_secret_value() for key in settings.old_secret_keys),
    ]


def _hub_check(settings: Settings, hub: HubClient, store: LaunchStore) -> HubCheck:
    needed = needed_scopes(temporary_users=makes_temporary_users(settings), mints_tokens=settings.token_mode == "hub")
    return HubCheck(hub, needed=needed, seen=partial(_note_hub, store))


def _capacity(settings: Settings, store: LaunchStore, guard: Guard, health: Health, check: HubCheck) -> CapacityReport:
    return CapacityReport(
        read=partial(store.capacity, guard=guard, most=settings.max_concurrent_spawns),
        guard=guard,
        max_concurrent_spawns=settings.max_concurrent_spawns,
        max_queue=settings.max_queue,
        health=health,
        hub=check,
    )


async def _note_hub(store: LaunchStore, mark: str, before_s: float) -> None:
    if await store.note_hub(mark, before_s=before_s):
        log.warning("JupyterHub was restarted, so no spawn that failed before counts any more")


@asynccontextmanager
async def _launching(
    settings: Settings,
    policy: Policy,
    limits: Callable[[], Limits],
    store: LaunchStore,
    hub: HubClient,
    feed: Feed,
    clock: LeaseClock,
    guard: Guard,
    hub_version: Callable[[], str | None],
    new_id: Callable[[], str],
    background: Background,
    pace: Pace,
) -> AsyncGenerator[LaunchService]:
    """The core, with all that goes on beside it; left, no launch has a task any more."""
    hook, weight = Launcher(settings, hub=hub).hook, weight_of(settings.caller_weights)
    admission = Admission(
        store=store,
        most=settings.max_concurrent_spawns,
        weight=weight,
        guard=guard,
        watchers=feed,
        pace=pace,
    )
    terms = Terms(
        max_wait_s=settings.max_wait_s,
        launch_timeout_s=settings.launch_timeout,
        attempts_max=settings.retries,
        entry=entry_of(settings),
        settled_s=settings.lease_s + LONGEST_CALL_S,
    )
    course = Course(store=store, hub=hub, admission=admission, terms=terms, hub_version=hub_version, pace=pace)
    keeping = Keeping(cull_after_s=settings.cull_after_s, retention_s=settings.retention)
    reaper = Reaper(store=store, hub=hub, keeping=keeping, pace=pace)
    async with (
        Leases(
            store=store, course=course, admission=admission, lease_s=settings.lease_s, clock=clock, pace=pace
        ) as leases,
        background.running("leases", leases.run),
        background.running("admission", admission.run),
        background.running("reaper", reaper.run),
    ):
        existing = ExistingLaunches(store=store, reaper=reaper)
        accounts = Accounts(hub, create_user=settings.create_user, limits=limits_of(settings))
        acceptance = Acceptance(
            store=store,
            checks=Checks(policy=policy, accounts=accounts, existing=existing, admission=admission, hook=hook),
            admission=admission,
            reclaim=QuotaReclaim(store=store, reaper=reaper),
            terms=AcceptanceTerms(
                quotas=limits,
                in_progress_max=settings.max_concurrent_spawns + settings.max_queue,
                weight=weight,
                launch_timeout_s=settings.launch_timeout,
                max_wait_s=settings.max_wait_s,
            ),
        )
        yield LaunchService(
            store=store,
            acceptance=acceptance,
            existing=existing,
            leases=leases,
            retention_s=settings.retention,
            new_id=new_id,
        )


def _limits(file: LimitsFile | None, anonymous_quota: int) -> Callable[[], Limits]:
    """Return a function that gives the limits of the moment: those of the file, then the one for anonymous callers."""
    last = ((Scope.CALLER, Rule.parse(Scope.CALLER, "anonymous:*", most=anonymous_quota)),) if anonymous_quota else ()

    def limits() -> Limits:
        of_file = file.limits if file is not None else Limits()
        return replace(of_file, rules=of_file.rules + last)

    return limits


def _at_root_too(*paths: str, prefix: str) -> frozenset[str]:
    """What whoever asks by the process's own address looks for there, whatever the prefix is."""
    return frozenset((*paths, *(prefix + path for path in paths)))


def _middleware(settings: Settings) -> list[Middleware]:
    open_paths = _at_root_too(*PROBED, prefix=settings.routed_prefix)
    room = room_for(settings.max_connections, spawns=settings.max_concurrent_spawns)
    return [
        Middleware(Requests, quiet_paths=open_paths),
        Middleware(StartFaults, plain=(StoreError, SettingsFault, KeysFault, LimitsFault)),
        Middleware(SecurityHeaders, frame_ancestors=settings.frame_ancestors),
        Middleware(Bounds),
        Middleware(KnownHosts, hosts=settings.known_hosts, open_paths=open_paths),
        Middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=[
                *("Content-Type", "Idempotency-Key", "Authorization", "X-Launch-Secret", "Last-Event-ID"),
                "X-Xsrftoken",  # which binderhub-client sends where the page has a cookie of that name
            ],
            expose_headers=[
                *("Location", "Retry-After", "X-Launch-Cursor", "X-Launch-Secret", "Date"),
                *("RateLimit", "RateLimit-Policy", "X-Request-ID"),
            ],
        ),
        Middleware(
            RequestsAtOnce,
            most=room.requests,
            most_streams=room.streams_per_address(settings.max_streams_address),
            open_paths=open_paths,
        ),
        Middleware(OwnOrigin, allowed=settings.cors_origins, launching=f"{settings.routed_prefix}{binder.PATH}"),
        Middleware(JsonBodies),
        Middleware(
            HeadRequests,
            acting=tuple(f"{settings.routed_prefix}{path}" for path in _ACTING),
        ),
    ]


def _warn(settings: Settings) -> None:
    if not settings.allowed_images and not settings.group_allowed_images:
        log.warning("LAUNCHER_ALLOWED_IMAGES is empty: every launch will be refused")
    if settings.token_mode == "user_options":
        log.warning(
            "LAUNCHER_TOKEN_MODE=user_options: JupyterHub keeps each visitor's token in clear, and the server has it "
            "in its arguments. LAUNCHER_TOKEN_MODE=hub avoids both."
        )


def settings_or_exit() -> Settings:
    """The settings from the environment and `.env`, with logging by them; a fault ends the process with a sentence."""
    try:
        settings = load_settings()
    except SettingsFault as fault:
        sys.exit(str(fault))
    configure_logging(settings.log_level, settings.log_format)
    if unknown := unknown_variables():
        log.warning("These variables are not settings, and have no effect: %s", ", ".join(unknown))
    return settings
