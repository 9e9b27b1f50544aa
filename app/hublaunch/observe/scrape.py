"""Metrics as Prometheus asks for them, and a port of their own for that."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client.exposition import choose_encoder

from hublaunch.observe import protobuf
from hublaunch.observe.metrics import Metrics


async def exposition(metrics: Metrics, accept: str) -> tuple[bytes, str]:
    """The metrics and their Content-Type: protobuf, OpenMetrics or Prometheus's older text, as the request accepts."""
    await metrics.refresh()
    if protobuf.is_preferred(accept):
        return protobuf.encode(metrics.registry, metrics.natives), protobuf.CONTENT_TYPE
    encode, content_type = choose_encoder(accept)
    return encode(metrics.registry), content_type


@asynccontextmanager
async def scrape_port(metrics: Metrics, *, host: str, port: int) -> AsyncGenerator[int]:
    """Serve `GET /metrics`, and nothing else, on a port of its own, which is given; 0 takes a free one.

    By aiohttp's server, which is there with its client: a second uvicorn would want the signals and log as the first
    does. OSError if the port cannot be had.
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
