"""A TCP proxy in front of the Hub that delays data and breaks connections."""

import asyncio
import contextlib
import random
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.support.tcp import reset


class ChaosProxy:
    """Listens on 127.0.0.1 and forwards bytes to `target_port` and back.

    Each connection has its own random numbers, by its order of arrival. One in ten breaks after a few thousand bytes in
    either direction. One chunk in twenty is delayed by up to half a second.
    """

    def __init__(self, target_port: int, *, stream: Callable[[str], random.Random]) -> None:
        self.calm = False
        """Whether connections are left alone from now on."""
        self.breaks = 0
        """The number of connections that the proxy broke."""
        self._target_port = target_port
        self._stream = stream
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._count = 0
        self._away = False

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=4096)
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

    async def outage(self, seconds: float) -> None:
        """Break every connection now, and each new one until the time is over."""
        self._away = True
        for writer in list(self._connections.values()):
            self._break(writer)
        await asyncio.sleep(seconds)
        self._away = False

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        numbers = self._stream(f"proxy/{self._count}")
        self._count += 1
        task = asyncio.create_task(self._serve(reader, writer, numbers))
        self._connections[task] = writer
        task.add_done_callback(lambda _: self._connections.pop(task))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, numbers: random.Random) -> None:
        if self._away:
            self._break(writer)
            return
        try:
            hub_reader, hub_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            self._break(writer)
            return
        left = [numbers.randint(1, 20_000) if not self.calm and numbers.random() < 0.1 else None]
        up, down = (
            asyncio.create_task(self._pass(reader, hub_writer, left, numbers)),
            asyncio.create_task(self._pass(hub_reader, writer, left, numbers)),
        )
        try:
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (up, down):
                task.cancel()
            await asyncio.gather(up, down, return_exceptions=True)
            # Bytes already forwarded still arrive. The other side sees a close.
            for end in (hub_writer, writer):
                end.close()

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        left: list[int | None],
        numbers: random.Random,
    ) -> None:
        """Forward bytes until either end closes, or until the connection has used up the bytes that it may forward."""
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(65_536):
                if not self.calm and numbers.random() < 0.05:
                    await asyncio.sleep(numbers.uniform(0.01, 0.5))
                if (most := left[0]) is not None and not self.calm:
                    writer.write(chunk[:most])
                    left[0] = most - len(chunk)
                    if most <= len(chunk):
                        await writer.drain()
                        self._break(writer, with_reset=numbers.random() < 0.5)
                        return
                else:
                    writer.write(chunk)
                await writer.drain()

    def _break(self, writer: asyncio.StreamWriter, *, with_reset: bool = True) -> None:
        self.breaks += 1
        if with_reset:
            reset(writer.transport)
        else:
            writer.close()
