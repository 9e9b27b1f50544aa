"""Waking coroutines from any thread."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress


class Bell:
    """Wakes all listeners, whichever thread and event loop they run in."""

    def __init__(self) -> None:
        self._listeners: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._lock = threading.Lock()

    def ring(self) -> None:
        with self._lock:
            for loop, event in self._listeners:
                with suppress(RuntimeError):  # the loop was closed before its listener
                    loop.call_soon_threadsafe(event.set)

    @contextmanager
    def heard(self) -> Generator[Callable[[], Awaitable[None]]]:
        """Yield a function that waits for the next ring since its last return."""
        listener = asyncio.get_running_loop(), asyncio.Event()

        async def rung() -> None:
            await listener[1].wait()
            listener[1].clear()

        with self._lock:
            self._listeners.add(listener)
        try:
            yield rung
        finally:
            with self._lock:
                self._listeners.discard(listener)
