"""A TCP proxy in front of the Hub that delays data and breaks connections."""

import asyncio
import contextlib
import itertools
import random
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from tests.support.relay import Relay
from tests.support.tcp import reset


class ChaosProxy(Relay):
    """Relays to the Hub at `target`.

    Each connection has its own random numbers, by its order of arrival. One in ten breaks after a few thousand bytes in
    either direction. One chunk in twenty is delayed by up to half a second.
    """

    def __init__(self, target: str, *, stream: Callable[[str], random.Random]) -> None:
        super().__init__(target)
        self.calm = False
        """Whether connections are left alone from now on."""
        self.breaks = 0
        """The number of connections broken by chance."""
        self._numbers = (stream(f"proxy/{number}") for number in itertools.count())

    async def outage(self, seconds: float) -> None:
        """Break every connection now, and each new one until the time is over."""
        self.close()
        await asyncio.sleep(seconds)
        self.open()

    def _ways(
        self,
        reader: asyncio.StreamReader,
        back: asyncio.StreamWriter,
        there: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> Sequence[Coroutine[Any, Any, None]]:
        numbers = next(self._numbers)
        left = [numbers.randint(1, 20_000) if not self.calm and numbers.random() < 0.1 else None]
        return self._forward(reader, back, left, numbers), self._forward(there, writer, left, numbers)

    async def _forward(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, left: list[int | None], numbers: random.Random
    ) -> None:
        """Forward bytes until either end closes, or until the connection has used up the bytes that it may forward."""
        with contextlib.suppress(ConnectionError):
            while chunk := await source.read(65_536):
                if not self.calm and numbers.random() < 0.05:
                    await asyncio.sleep(numbers.uniform(0.01, 0.5))
                if (most := left[0]) is not None and not self.calm:
                    left[0] = most - len(chunk)
                    chunk = chunk[:most]
                sink.write(chunk)
                await sink.drain()
                if left[0] is not None and left[0] <= 0:
                    self.breaks += 1
                    if numbers.random() < 0.5:
                        reset(sink.transport)
                    return
