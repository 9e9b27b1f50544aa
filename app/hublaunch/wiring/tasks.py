"""Background loops, and the signals that stop the service."""

import asyncio
import logging
import signal
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from types import FrameType
from typing import Any

log = logging.getLogger(__name__)

_PAUSE_S = (1.0, 5.0)
_STEADY_S = 5.0


class Background:
    """Runs the loops of this service, each in a task, and restarts a loop that ends.

    No loop should end, and each must be safe to restart: between two rounds it keeps no state that a restart loses. A
    loop counts as down from its end until it has run for `steady_s` seconds again.
    """

    def __init__(self, *, pause_s: tuple[float, float] = _PAUSE_S, steady_s: float = _STEADY_S) -> None:
        """`pause_s`: the seconds before the first restart, doubled for each further one, and the longest pause."""
        self._pause_s = pause_s
        self._steady_s = steady_s
        self._is_up: dict[str, bool] = {}
        self._listeners: list[Callable[[str], None]] = []

    @property
    def is_up(self) -> Mapping[str, bool]:
        """Whether each loop runs, by name."""
        return dict(self._is_up)

    @property
    def down(self) -> list[str]:
        """The names of the loops that are down."""
        return sorted(name for name, is_up in self._is_up.items() if not is_up)

    def on_end(self, listener: Callable[[str], None]) -> None:
        """Call `listener` with the name of each loop that ends while the service runs."""
        self._listeners.append(listener)

    @asynccontextmanager
    async def running(self, name: str, loop: Callable[[], Coroutine[Any, Any, None]]) -> AsyncGenerator[None]:
        """Run a loop until the context is left, restarting it when it ends."""
        self._is_up[name] = True
        task = asyncio.create_task(self._keep_running(name, loop), name=name)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _keep_running(self, name: str, loop: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task, clock = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None
        pause_s, longest_s = self._pause_s
        while True:
            steady = clock.call_later(self._steady_s, self._is_up.update, {name: True})
            try:
                await loop()
                log.error("The background task %s ended. Restarting it.", name)
            except asyncio.CancelledError:
                if task.cancelling():
                    raise
                log.exception("The background task %s was cancelled. Restarting it.", name)
            except Exception:
                log.exception("The background task %s failed. Restarting it.", name)
            finally:
                steady.cancel()
            pause_s = self._pause_s[0] if self._is_up[name] else min(2 * pause_s, longest_s)
            self._is_up[name] = False
            for listener in self._listeners:
                listener(name)
            await asyncio.sleep(pause_s)


@contextmanager
def on_stop_signals(*reactions: Callable[[], None]) -> Generator[None]:
    """Call `reactions` on SIGTERM and SIGINT, then the previous handlers.

    So streams end immediately; uvicorn waits for them before it ends the lifespan. Signals reach the main thread only,
    so in another thread this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def react(number: int, frame: FrameType | None) -> None:
        for reaction in reactions:
            loop.call_soon_threadsafe(reaction)
        if callable(handler := before[signal.Signals(number)]):
            handler(number, frame)

    for number in before:
        signal.signal(number, react)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
