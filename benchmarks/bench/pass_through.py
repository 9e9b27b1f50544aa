"""The least that stands between a Hub's progress and whoever follows it, as a process of its own: it stores nothing.

    echo '{"url": …, "api_url": …, "token": …}' | python -m benchmarks.bench.pass_through --port 0

`GET /?name=ada` creates that user, starts their server and passes its progress on, as it comes. Prints the port.
"""

import argparse
import asyncio
import json
import socket
import sys
from collections.abc import AsyncGenerator

import aiohttp
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from hublaunch.serving.server import Server, server_config
from hublaunch.settings import Settings


class PassThrough:
    """One Hub."""

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


async def serve(hub: dict[str, str], port: int) -> None:
    settings = Settings(hub_url=hub["url"], hub_api_token=hub["token"])
    headers = {"Authorization": f"token {hub['token']}"}
    connector = aiohttp.TCPConnector(limit=0)
    unbounded = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(
        f"{hub['api_url']}/", headers=headers, connector=connector, timeout=unbounded
    ) as session:
        app = Starlette(routes=[Route("/", PassThrough(session).answer)])
        config = server_config(app, settings, host="127.0.0.1", port=port)
        config.lifespan = "off"
        with socket.create_server(("127.0.0.1", port), backlog=2048) as listening:
            print(listening.getsockname()[1], flush=True)
            await Server(config).serve([listening])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(json.loads(sys.stdin.readline()), options.port))


if __name__ == "__main__":
    main()
