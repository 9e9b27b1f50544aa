"""How uvicorn is set up."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from app.serving import server_config
from app.settings import Settings

TRAEFIK_KEEPS_S = 90
CHUNK = b"x" * 65_536
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Flood:
    """An app that writes for as long as its client is there."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        writing = asyncio.ensure_future(self._write(send))
        while (await receive())["type"] != "http.disconnect":
            pass
        writing.cancel()
        self.gone.set()

    async def _write(self, send: Send) -> None:
        while True:
            await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
            await asyncio.sleep(0)  # once the client is gone, uvicorn's send returns at once


def settings(send_timeout_s: float = 30) -> Settings:
    return Settings(hub_url="http://127.0.0.1:1/", hub_api_token="x" * 32, send_timeout=send_timeout_s)


@pytest.fixture
def flood() -> Flood:
    return Flood()


@asynccontextmanager
async def served(app: Flood, *, send_timeout_s: float) -> AsyncGenerator[int]:
    """The port."""
    config = server_config(app, settings(send_timeout_s), host="127.0.0.1", port=0)
    config.load()
    loop = asyncio.get_running_loop()
    state = uvicorn.server.ServerState()
    server = await loop.create_server(
        lambda: config.http_protocol_class(config=config, server_state=state, app_state={}),  # type: ignore[call-arg]
        "127.0.0.1",
    )
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_reader_that_takes_nothing_is_dropped_after_the_send_timeout(flood: Flood) -> None:
    async with served(flood, send_timeout_s=0.1) as port:
        with socket.create_connection(("127.0.0.1", port)) as stuck:
            stuck.sendall(REQUEST)

            async with asyncio.timeout(20):
                await flood.gone.wait()


async def test_a_reader_that_reads_on_is_not_dropped(flood: Flood) -> None:
    async with served(flood, send_timeout_s=0.1) as port, asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST)
        began = asyncio.get_running_loop().time()

        while asyncio.get_running_loop().time() < began + 0.5:
            assert await reader.read(len(CHUNK))

        assert not flood.gone.is_set()
        writer.close()
        await flood.gone.wait()


def test_a_connection_is_kept_for_longer_than_proxies_keep_theirs(flood: Flood) -> None:
    config = server_config(flood, settings(), host="127.0.0.1", port=0)

    assert config.timeout_keep_alive > TRAEFIK_KEEPS_S
