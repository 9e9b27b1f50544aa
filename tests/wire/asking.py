"""Requests over the transport, and servers that answer them or do not."""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import uvloop

from hublaunch.wire.transport import WireTransport
from tests.fakes.certificates import server_context, write_certificate
from tests.fakes.wire import WireConnection

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


async def answer_all(connection: WireConnection) -> None:
    while await connection.read_request():
        await connection.send(OK)


async def ask(
    transport: WireTransport, url: str, *, method: str = "GET", content: bytes = b"", **timeouts: float
) -> httpx.Response:
    """Return the answer, read to its end."""
    request = httpx.Request(method, url, content=content or None, extensions={"timeout": timeouts})
    response = await transport.handle_async_request(request)
    await response.aread()
    return response


@contextmanager
def full(address: str, port: int = 0) -> Iterator[int]:
    """Listen at an address where nobody accepts connections, and no more can wait. Yield its port."""
    with socket.create_server((address, port), backlog=0) as listening:
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:  # Linux lets the rest wait without an answer
            each.setblocking(False)
            each.connect_ex(listening.getsockname())
        try:
            yield listening.getsockname()[1]
        finally:
            for each in waiting:
                each.close()


def tls_of(directory: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the contexts of a server and of the clients that trust it."""
    certificate, key = write_certificate(directory, "hub")
    return server_context(certificate, key), ssl.create_default_context(cafile=certificate)
