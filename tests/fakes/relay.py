"""A way over TCP that breaks, falls silent or is closed when a test says so."""

import asyncio
import contextlib
import socket
import struct
from types import TracebackType
from typing import Self

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Relay:
    """Listens on 127.0.0.1 and passes bytes on to `target_port` and back."""

    def __init__(self, target_port: int) -> None:
        self.accepted = 0
        """Connections that came."""
        self.answers_to_lose = 0
        """On how many connections what comes back first is lost, and the connection with it."""
        self._target_port = target_port
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._passing = asyncio.Event()
        self._passing.set()
        self._is_closed = False
        self._came = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/"

    async def next_connection(self) -> None:
        """Return once another one comes."""
        self._came.clear()
        async with asyncio.timeout(10):
            await self._came.wait()

    def cut(self) -> None:
        """Break every connection that is open."""
        for writer in self._connections.values():
            _break(writer)

    def close(self) -> None:
        """Break what is open and, from now on, what comes."""
        self._is_closed = True
        self.cut()

    def open(self) -> None:
        """Let connections through again."""
        self._is_closed = False

    def silence(self) -> None:
        """From now on pass nothing on the connections that are open; on later ones all is passed."""
        self._passing.clear()
        self._passing = asyncio.Event()
        self._passing.set()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._came.set()
        task = asyncio.create_task(self._serve(reader, writer))
        self._connections[task] = writer
        task.add_done_callback(lambda _: self._connections.pop(task))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_closed:
            _break(writer)
            return
        target_reader, target_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        tasks = [
            asyncio.create_task(_pass(reader, target_writer, self._passing)),
            asyncio.create_task(self._pass_back(target_reader, writer, self._passing)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in (target_writer, writer):
                end.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _pass_back(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passing: asyncio.Event
    ) -> None:
        if self.answers_to_lose:
            await reader.read(1)
            self.answers_to_lose -= 1
            _break(writer)
        else:
            await _pass(reader, writer, passing)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passing: asyncio.Event) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(65_536):
            await passing.wait()
            writer.write(chunk)
            await writer.drain()


def _break(writer: asyncio.StreamWriter) -> None:
    if (raw := writer.get_extra_info("socket")) is not None and raw.fileno() >= 0:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        writer.transport.abort()
