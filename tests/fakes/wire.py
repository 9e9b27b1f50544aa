"""A server on a plain socket that sends the bytes a test gives it, and counts what it receives."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from tests.support.tcp import reset

TEST_SECONDS_MAX = 10


class WireConnection:
    """One accepted connection, controlled by a script."""

    def __init__(self, server: "WireServer", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server = server
        self._reader = reader
        self._writer = writer

    async def read_request(self) -> bool:
        """Read a whole request into `server.requests`. False if the client closed the connection instead."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return False
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        self._server.requests.append(head + await self._reader.readexactly(length))
        return True

    async def send(self, content: bytes) -> None:
        self._writer.write(content)
        await self._writer.drain()

    async def send_bytewise(self, content: bytes) -> None:
        """Send each byte before the next, so that the other side may see them one at a time."""
        self._writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for index in range(len(content)):
            await self.send(content[index : index + 1])
            await asyncio.sleep(0)

    def finish_sending(self) -> None:
        """Close our side of the connection (FIN), and keep receiving."""
        self._writer.write_eof()

    async def until_closed(self) -> None:
        """Wait for the client to close, and set `server.closed_by_client`."""
        try:
            while await self._reader.read(65_536):
                pass
        except ConnectionError:
            pass
        self._server.closed_by_client.set()

    def cut(self) -> None:
        """End the connection as it is. Under TLS there is no close_notify."""
        self._writer.transport.abort()

    def reset(self) -> None:
        """Break the connection (RST) instead of closing it."""
        reset(self._writer.transport)


Script = Callable[[WireConnection], Awaitable[None]]


class Flood:
    """A script that answers with 400 MiB, and counts the bytes that the other side accepted."""

    def __init__(self, head: bytes, *, piece: bytes = b"x" * 65_536) -> None:
        self.sent = 0
        self._head, self._piece = head, piece

    async def __call__(self, connection: WireConnection) -> None:
        await connection.read_request()
        await connection.send(self._head)
        with contextlib.suppress(ConnectionError):
            while self.sent < 400 * 1024 * 1024:
                await connection.send(self._piece)
                self.sent += len(self._piece)


def dripping(head: bytes) -> Script:
    """Return a script that answers with this and then, without end, a byte at a time."""

    async def drip(connection: WireConnection) -> None:
        await connection.read_request()
        await connection.send(head)
        while True:
            await connection.send(b" ")
            await asyncio.sleep(0.02)

    return drip


class WireServer:
    """Runs the script on each connection, and closes the connection when its script ends.

    Its `async with` block must end within TEST_SECONDS_MAX.
    """

    def __init__(self, script: Script, *, ssl_context: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.closed_by_client = asyncio.Event()
        self._script = script
        self._ssl_context = ssl_context
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._tasks: set[asyncio.Task[None]] = set()
        self._time_limit = asyncio.timeout(TEST_SECONDS_MAX)

    @property
    def url(self) -> str:
        scheme = "https" if self._ssl_context else "http"
        return f"{scheme}://127.0.0.1:{self._socket.getsockname()[1]}"

    async def __aenter__(self) -> Self:
        await self._time_limit.__aenter__()
        self._server = await asyncio.start_server(self._accept, sock=self._socket, ssl=self._ssl_context, backlog=1024)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._time_limit.__aexit__(exc_type, exc, traceback)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._tasks.add(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._script(WireConnection(self, reader, writer))
        finally:
            writer.close()
