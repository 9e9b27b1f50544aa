"""The least that a stream to many readers costs, as a process of its own: the same bytes to each, at a steady pace.

    python -m benchmarks.bench.bare_streams asgi --port 0 --pace-s 0.2

`streaming` answers with Starlette's StreamingResponse, `asgi` with nothing but ASGI; both are served as hublaunch is,
without its middleware. Prints the port.
"""

import argparse
import asyncio
import socket
from collections.abc import AsyncGenerator

import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from hublaunch.serving.server import Server, server_config
from hublaunch.settings import Settings

BLOCK = (
    b'id: 12\ndata: {"launch_id":"01JDB9Z3N8Q4V7R2M5X6C1T0YK","seq":12,"at":"2026-11-23T08:00:00.000Z",'
    b'"phase":"launching","message":"JupyterHub is starting the server","progress":12,"attempt":1}\n\n'
)
"""An event as hublaunch sends it to whoever has no more than a launch's id."""


class Pace:
    """Wakes all readers at once, again and again."""

    def __init__(self, pace_s: float) -> None:
        self._pace_s = pace_s
        self._next = asyncio.Event()

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._pace_s)
            now, self._next = self._next, asyncio.Event()
            now.set()

    async def blocks(self) -> AsyncGenerator[bytes]:
        yield b"retry: 2000\n"
        while True:
            await self._next.wait()
            yield BLOCK


def streaming(pace: Pace) -> ASGIApp:
    async def events(_: Request) -> StreamingResponse:
        return StreamingResponse(pace.blocks(), media_type="text/event-stream")

    return Starlette(routes=[Route("/", events)])


def asgi(pace: Pace) -> ASGIApp:
    async def write(send: Send) -> None:
        async for block in pace.blocks():
            await send({"type": "http.response.body", "body": block, "more_body": True})

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        writing = asyncio.ensure_future(write(send))
        await receive()
        while (await receive())["type"] != "http.disconnect":
            pass
        writing.cancel()

    return app


async def serve(make: str, port: int, pace_s: float) -> None:
    pace = Pace(pace_s)
    app = {"streaming": streaming, "asgi": asgi}[make](pace)
    settings = Settings(hub_url="http://127.0.0.1:1/", hub_api_token="x" * 32)  # of which only the server's count
    config = server_config(app, settings, host="127.0.0.1", port=port)
    config.lifespan = "off"
    with socket.create_server(("127.0.0.1", port), backlog=2048) as listening:
        print(listening.getsockname()[1], flush=True)
        async with asyncio.TaskGroup() as group:
            pacing = group.create_task(pace.run())
            await Server(config).serve([listening])
            pacing.cancel()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("app", choices=("streaming", "asgi"))
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--pace-s", type=float, default=0.2)
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(options.app, options.port, options.pace_s))


if __name__ == "__main__":
    main()
