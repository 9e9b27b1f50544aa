"""The metrics in Prometheus's formats, and the separate port that serves them."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client.exposition import choose_encoder

from hublaunch.observe.metrics import Metrics


async def exposition(metrics: Metrics, accept: str) -> tuple[bytes, str]:
    """Return the metrics and their Content-Type: OpenMetrics or Prometheus's text, as the `Accept` header asks."""
    await metrics.refresh()
    encode, content_type = choose_encoder(accept)
    return encode(metrics.registry), content_type


@asynccontextmanager
async def scrape_port(metrics: Metrics, *, host: str, port: int) -> AsyncGenerator[int]:
    """Serve `GET /metrics`, and nothing else, on a separate port and yield its number. 0 takes a free one.

    Uses aiohttp's server, which comes with its client: a second uvicorn would take over signals and logs. Raises
    OSError if the port cannot be opened.
    """

    async def answer(request: web.BaseRequest) -> web.Response:
        if request.path != "/metrics":
            return web.Response(status=404)
        if request.method != "GET":
            return web.Response(status=405, headers={"Allow": "GET"})
        body, content_type = await exposition(metrics, request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type, "Cache-Control": "no-store"})

    runner = web.ServerRunner(web.Server(answer, access_log=None), shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
