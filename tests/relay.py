"""A network that can be cut: a relay between a client and a service."""

import asyncio
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class Relay:
    """Passes connections on to the service at `target` until they are cut."""

    def __init__(self, target: str) -> None:
        self.lead_to(target)
        self._writers: set[asyncio.StreamWriter] = set()
        self._passing: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.connections = 0

    @property
    def url(self) -> str:
        assert self._server
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server
        self._server.close()
        self.cut()
        await asyncio.gather(*self._passing, return_exceptions=True)

    def lead_to(self, target: str) -> None:
        """Pass new connections on to there."""
        address = urlsplit(target)
        self._target = (address.hostname, address.port)

    def cut(self) -> None:
        """Reset every connection; new ones pass."""
        for writer in self._writers:
            writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            there, back = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, back}
        for source, sink in ((reader, back), (there, writer)):
            task = asyncio.create_task(_pass(source, sink))
            self._passing.add(task)
            task.add_done_callback(self._passing.discard)


async def _pass(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    except ConnectionError:
        pass
    finally:
        sink.close()
