"""The cheapest sources of event streams, each in a process of its own, for comparison with hublaunch.

    python -m benchmarks.stream_sources asgi --pace-s 0.2
    echo '{"url": …, "api_url": …, "token": …}' | python -m benchmarks.stream_sources pass-through
    python -m benchmarks.stream_sources ticking-hub --pace-s 1

`streaming` (Starlette's StreamingResponse) and `asgi` (nothing but ASGI) send the same bytes to every reader at a
steady pace. `pass-through` answers `GET /?name=ada`: it creates that user, starts their server and passes its progress
on, storing nothing. These three are served as hublaunch is, without its middleware, and print their port.

`ticking-hub` is the fake Hub with spawns that never end. Each pending spawn reports the time, once in that many seconds
on average, at independent moments. It prints a line of JSON with `url`, `api_url` and `token`.
"""

import argparse
import asyncio
import json
import random
import signal
import socket
import sys
import time
from collections.abc import AsyncGenerator, Callable
from itertools import count

import aiohttp
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from hublaunch.serving.server import ServiceServer, server_config
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub, SpawnPlan

BLOCK = (
    b'id: 12\ndata: {"launch_id":"01JDB9Z3N8Q4V7R2M5X6C1T0YK","seq":12,"at":"2026-11-23T08:00:00.000Z",'
    b'"phase":"launching","message":"JupyterHub is starting the server","progress":12,"attempt":1}\n\n'
)
"""An event as hublaunch sends it to readers who have only the launch's id."""


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


async def bare(make: Callable[[Pace], ASGIApp], pace_s: float) -> None:
    pace = Pace(pace_s)
    async with asyncio.TaskGroup() as group:
        pacing = group.create_task(pace.run())
        await serve(make(pace))
        pacing.cancel()


async def serve(app: ASGIApp) -> None:
    """Serve the app as hublaunch is served, on a free port, until SIGTERM. Print the port."""
    settings = Settings(hub_url="http://127.0.0.1:1/", hub_api_token="x" * 32)
    config = server_config(app, settings, host="127.0.0.1", port=0)
    config.lifespan = "off"
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listening:
        print(listening.getsockname()[1], flush=True)
        await ServiceServer(config).serve([listening])


class PassThrough:
    """Passes the progress of new users' servers on, as it comes."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def answer(self, request: Request) -> StreamingResponse:
        name = request.query_params["name"]
        for path in (f"users/{name}", f"users/{name}/server"):
            async with self._session.post(path, json={}) as response:
                assert response.status in (201, 202), response.status
        return StreamingResponse(self._progress(name), media_type="text/event-stream")

    async def _progress(self, name: str) -> AsyncGenerator[bytes]:
        async with self._session.get(f"users/{name}/server/progress") as stream:
            async for line in stream.content:
                if line.startswith(b"data:"):
                    yield line + b"\n"


async def pass_through(hub: dict[str, str]) -> None:
    headers = {"Authorization": f"token {hub['token']}"}
    connector = aiohttp.TCPConnector(limit=0)
    unbounded = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(
        f"{hub['api_url']}/", headers=headers, connector=connector, timeout=unbounded
    ) as session:
        await serve(Starlette(routes=[Route("/", PassThrough(session).answer)]))


MARK = "written at "
"""The text before the time, which is in nanoseconds of the clock that all processes on a machine share."""


async def tick(hub: FakeHub, tick_s: float) -> None:
    """Report the time for one pending spawn after the other, forever."""
    for number in count():
        names = sorted(hub.active_servers)
        await asyncio.sleep(random.expovariate(max(1, len(names)) / tick_s))
        if names:
            username, _ = names[number % len(names)]
            hub.report(username, f"{MARK}{time.monotonic_ns()}", progress=50)


async def ticking_hub(tick_s: float) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with FakeHub() as hub:
        hub.slow_spawn_timeout, hub.start_timeout = 0, 600
        hub.spawn_plan(None, SpawnPlan(messages=[], never=True))
        print(json.dumps({"url": hub.url, "api_url": hub.api_url, "token": hub.api_token}), flush=True)
        ticking = asyncio.create_task(tick(hub, tick_s))
        await stop.wait()
        ticking.cancel()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", choices=("streaming", "asgi", "pass-through", "ticking-hub"))
    parser.add_argument("--pace-s", type=float, default=0.2)
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        match options.source:
            case "pass-through":
                runner.run(pass_through(json.loads(sys.stdin.readline())))
            case "ticking-hub":
                runner.run(ticking_hub(options.pace_s))
            case source:
                runner.run(bare({"streaming": streaming, "asgi": asgi}[source], options.pace_s))


if __name__ == "__main__":
    main()
