"""A relay between a client and a service, which breaks, falls silent or closes when a test says so."""

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from tests.support.tcp import reset


class Relay:
    """Listens on 127.0.0.1 and relays connections to the service at `target`."""

    def __init__(self, target: str) -> None:
        self.lead_to(target)
        self.connections = 0
        """The number of connections that arrived."""
        self.answers_to_lose = 0
        """The number of next connections to break at the first byte of their answer."""
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._passing = asyncio.Event()
        self._passing.set()
        self._is_closed = False

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=4096)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def lead_to(self, target: str) -> None:
        """Relay new connections to this target."""
        address = urlsplit(target)
        self._target = (address.hostname, address.port)

    def cut(self) -> None:
        """Reset every open connection; new ones pass."""
        for writer in self._open.values():
            reset(writer.transport)

    def close(self) -> None:
        """Reset every open connection, and each new one."""
        self._is_closed = True
        self.cut()

    def open(self) -> None:
        """Accept connections again."""
        self._is_closed = False

    def silence(self) -> None:
        """Pass nothing more on the connections that are open now; later ones pass."""
        self._passing.clear()
        self._passing = asyncio.Event()
        self._passing.set()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.create_task(self._serve(reader, writer))
        self._open[task] = writer
        task.add_done_callback(lambda _: self._open.pop(task))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection(*self._target)
        except OSError:
            reset(writer.transport)
            return
        if self._is_closed:
            reset(writer.transport)
        tasks = [asyncio.create_task(way) for way in self._ways(reader, back, there, writer)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in (back, writer):
                end.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _ways(
        self,
        reader: asyncio.StreamReader,
        back: asyncio.StreamWriter,
        there: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> Sequence[Coroutine[Any, Any, None]]:
        """Return the coroutines that pass the data of a connection to the service, and back."""
        return _pass(reader, back, self._passing), self._pass_back(there, writer, self._passing)

    async def _pass_back(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, passing: asyncio.Event
    ) -> None:
        if self.answers_to_lose:
            await source.read(1)
            self.answers_to_lose -= 1
            reset(sink.transport)
        else:
            await _pass(source, sink, passing)


async def _pass(source: asyncio.StreamReader, sink: asyncio.StreamWriter, passing: asyncio.Event) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await source.read(65_536):
            await passing.wait()
            sink.write(chunk)
            await sink.drain()
