"""Metrics, traces and the audit log, as the settings ask. Modules that are not needed are not imported."""

import logging
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from hublaunch.api.middleware.access_log import RequestListener, refusals_to, request_id, spans_of
from hublaunch.api.problems.types import codes
from hublaunch.hub.observed import CallListener
from hublaunch.hub.operations import OTHER, Operation
from hublaunch.launch.feed import Feed
from hublaunch.launch.pace import Pace
from hublaunch.observe.hub_calls import HubCallNotes
from hublaunch.registry.lookup import LookupListener
from hublaunch.settings import Settings, SettingsFault
from hublaunch.store.sql import SqlLaunchStore
from hublaunch.wiring.files import Files
from hublaunch.wiring.pools import read_pools
from hublaunch.wiring.rules import guard_of
from hublaunch.wiring.tasks import Background

if TYPE_CHECKING:
    from hublaunch.observe.metrics import Metrics
    from hublaunch.observe.tracing import Tracing

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Observers:
    """Listeners for requests, Hub calls and registry lookups. Observers get the store's news by subscription."""

    metrics: "Metrics | None" = None
    of_requests: list[RequestListener] = field(default_factory=list)
    of_hub: list[CallListener] = field(default_factory=list)
    of_registries: list[LookupListener] = field(default_factory=list)


@asynccontextmanager
async def observing(
    settings: Settings, store: SqlLaunchStore, feed: Feed, files: Files, background: Background, pace: Pace
) -> AsyncGenerator[Observers]:
    """Start the observers. Raises SettingsFault if a port or a file cannot be used, or an extra is missing."""
    async with AsyncExitStack() as stack:
        observers = Observers()
        notes = await stack.enter_async_context(_noting(store, background, pace))
        observers.of_hub.append(notes.on_hub_request)
        if settings.metrics_port is not None or settings.metrics_public:
            observers.metrics = await stack.enter_async_context(_metrics(settings, store, feed, files, background))
            observers.of_requests.append(refusals_to(observers.metrics.on_refusal))
            observers.of_hub.append(observers.metrics.on_hub_request)
            observers.of_registries.append(observers.metrics.on_lookup)
        if settings.traces_url is not None:
            traces = stack.enter_context(_traces(settings.traces_url, store))
            observers.of_requests.append(spans_of(traces.begin_request))
            observers.of_hub.append(traces.on_hub_request)
        if settings.audit_log is not None:
            stack.enter_context(_audit(settings.audit_log, store))
        yield observers


@asynccontextmanager
async def _noting(store: SqlLaunchStore, background: Background, pace: Pace) -> AsyncGenerator[HubCallNotes]:
    """Keep the calls to the Hub that failed or were slow beside their attempts."""
    notes = HubCallNotes(store.hub_calls.add, every_s=pace.note_calls_s)
    try:
        async with background.running("hub_calls", notes.run):
            yield notes
    finally:
        try:
            await notes.store()
        except Exception:
            log.exception("Could not store the last calls to JupyterHub that failed or were slow")


@contextmanager
def _traces(url: str, store: SqlLaunchStore) -> "Generator[Tracing]":
    """Send traces of launches to a collector. Raises SettingsFault without the extra."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

        from hublaunch.observe.tracing import Tracing  # noqa: PLC0415
    except ImportError as error:
        sentence = f"LAUNCHER_TRACES_URL: traces need {error.name}, which is not installed."
        raise SettingsFault([f"{sentence} Run: pip install 'hublaunch[otel]'"]) from error
    traces = Tracing(BatchSpanProcessor(OTLPSpanExporter(url)))
    store.news.subscribe(traces.on_news)
    with closing(traces):
        yield traces


@contextmanager
def _audit(path: Path, store: SqlLaunchStore) -> Generator[None]:
    """Write the audit log."""
    from hublaunch.observe.audit import AuditLog, LaunchAudit  # noqa: PLC0415

    try:
        audit = AuditLog(path)
    except OSError as error:
        raise SettingsFault([f"LAUNCHER_AUDIT_LOG: {path} cannot be written ({error.strerror})."]) from error
    with closing(audit):
        told = LaunchAudit(audit, request_id=request_id.get)
        store.news.subscribe(told.on_news)
        yield


async def show_metrics(request: Request) -> Response:
    """Answer with the metrics, on the public port."""
    from hublaunch.observe.scrape import exposition  # noqa: PLC0415

    body, content_type = await exposition(request.state.metrics, request.headers.get("Accept", ""))
    return Response(body, headers={"Content-Type": content_type, "Cache-Control": "no-store"})


@asynccontextmanager
async def _metrics(
    settings: Settings, store: SqlLaunchStore, feed: Feed, files: Files, background: Background
) -> "AsyncGenerator[Metrics]":
    """Collect metrics, and serve them on their port if it is set."""
    from hublaunch.observe.metrics import Metrics  # noqa: PLC0415
    from hublaunch.observe.pool_metrics import PoolMetrics  # noqa: PLC0415
    from hublaunch.observe.scrape import scrape_app  # noqa: PLC0415
    from hublaunch.serving.second_port import second_port  # noqa: PLC0415

    kinds = [*(operation.kind for operation in Operation), OTHER]
    capacity = partial(store.queue.capacity, guard=guard_of(settings), most=settings.max_concurrent_spawns)
    metrics = Metrics(
        codes=codes(),
        kinds=kinds,
        capacity=capacity,
        followers=lambda: feed.followers,
        loops=lambda: background.is_up,
        invitations=store.invitations.in_use if "invitation" in settings.access else None,
    )
    background.on_end(metrics.on_loop_end)
    store.news.subscribe(metrics.on_news)
    pools = PoolMetrics(metrics.registry, read=partial(read_pools, settings, store, files))
    store.news.subscribe(pools.on_news)
    metrics.include(pools)
    async with AsyncExitStack() as stack:
        if settings.metrics_port is not None:
            place = f"{settings.metrics_host}:{settings.metrics_port}"
            try:
                serving = second_port(scrape_app(metrics), host=settings.metrics_host, port=settings.metrics_port)
                port = await stack.enter_async_context(serving)
            except OSError as error:
                raise SettingsFault([f"LAUNCHER_METRICS_PORT: cannot listen on {place} ({error.strerror})."]) from error
            log.info("Metrics at http://%s:%d/metrics", settings.metrics_host, port)
        yield metrics
