"""Metrics as Prometheus asks for them, and a port of their own for that."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.observe.metrics import Metrics


async def answer_scrape(metrics: Metrics, request: Request) -> Response:
    """The metrics, in OpenMetrics or in Prometheus's older text, as the request accepts."""
    await metrics.refresh()
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return Response(encode(metrics.registry), media_type=content_type, headers={"Cache-Control": "no-store"})


class _Server(uvicorn.Server):
    """Ends with the service, whose server has the signals."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@asynccontextmanager
async def scrape_port(metrics: Metrics, *, host: str, port: int) -> AsyncGenerator[int]:
    """Serve `GET /metrics`, and nothing else, on a port of its own, which is given; 0 takes a free one.

    OSError if it cannot be had.
    """

    async def scrape(request: Request) -> Response:
        return await answer_scrape(metrics, request)

    listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    app = Starlette(routes=[Route("/metrics", scrape)])
    server = _Server(
        uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=1,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await serving
