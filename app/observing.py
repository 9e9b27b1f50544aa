"""What watches the service, joined from the settings: its metrics."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from app.api.errors import codes
from app.api.requests import RequestListener, refusals_to
from app.hub.observed import CallListener
from app.hub.operations import OTHER, Operation
from app.launch.feed import Feed
from app.launch.ports import LaunchStore
from app.observe.metrics import Metrics
from app.observe.scrape import answer_scrape, scrape_port
from app.settings import Settings, SettingsFault


@dataclass(kw_only=True)
class Observing:
    """Those who are to be told what happens."""

    metrics: Metrics | None = None
    of_requests: list[RequestListener] = field(default_factory=list)
    of_hub: list[CallListener] = field(default_factory=list)


@asynccontextmanager
async def observing(settings: Settings, store: LaunchStore, feed: Feed) -> AsyncGenerator[Observing]:
    """Watch as the settings ask for it. SettingsFault if a port cannot be had."""
    async with AsyncExitStack() as stack:
        told = Observing()
        if settings.metrics_port is not None or settings.metrics_public:
            told.metrics = _metrics(store, feed)
            told.of_requests.append(refusals_to(told.metrics.on_refusal))
            told.of_hub.append(told.metrics.on_hub_request)
        if told.metrics and settings.metrics_port is not None:
            serving = scrape_port(told.metrics, host=settings.metrics_host, port=settings.metrics_port)
            try:
                await stack.enter_async_context(serving)
            except OSError as error:
                place = f"{settings.metrics_host}:{settings.metrics_port}"
                raise SettingsFault([f"LAUNCHER_METRICS_PORT: {place} cannot be had ({error.strerror})."]) from error
        yield told


async def show_metrics(request: Request) -> Response:
    """The metrics on the public port, where the settings ask for that."""
    return await answer_scrape(request.state.metrics, request)


def _metrics(store: LaunchStore, feed: Feed) -> Metrics:
    metrics = Metrics(
        codes=codes(),
        kinds=[*(operation.kind for operation in Operation), OTHER],
        census=store.census,
        followers=lambda: feed.followers,
    )
    store.subscribe(metrics.on_event)
    store.on_change(metrics.on_change)
    return metrics
