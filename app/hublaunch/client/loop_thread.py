"""An event loop in a thread of its own, for callers that are not async."""

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")

_LOOK_S = 0.5
"""How often a waiting thread looks for an interrupt, because an interrupt just before the wait does not end it."""


class LoopThread:
    """Runs coroutines for any number of threads, whether or not they run a loop themselves."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="hublaunch client", daemon=True)
        self._thread.start()

    @property
    def is_closed(self) -> bool:
        return self._loop.is_closed()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return the coroutine's result, or raise its error.

        An interrupt, such as Ctrl-C, cancels the coroutine, waits until it has ended, and is raised.
        """
        if self.is_closed:
            coroutine.close()
            raise RuntimeError("The client is closed.")
        # An interrupt inside a Future's wait can leave its lock held. This queue waits without Python code.
        ended: SimpleQueue[asyncio.Task[T] | None] = SimpleQueue()
        tasks: list[asyncio.Task[T]] = []

        def start() -> None:
            tasks.append(self._loop.create_task(coroutine))
            tasks[0].add_done_callback(ended.put)

        def cancel() -> None:
            if not tasks:
                coroutine.close()
                ended.put(None)
            elif tasks[0].done():
                ended.put(tasks[0])  # the interrupt may have come after the first item was taken
            else:
                tasks[0].cancel()

        try:
            self._loop.call_soon_threadsafe(start)
            task = _wait(ended)
        except BaseException:
            self._loop.call_soon_threadsafe(cancel)  # runs after start(), or instead of it
            _wait(ended)
            raise
        assert task is not None
        return task.result()

    def close(self) -> None:
        """Close everything still open in the loop, end the thread, and wait for it."""
        self.run(self._loop.shutdown_asyncgens())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _wait(ended: SimpleQueue[T]) -> T:
    """Return the next item, or raise KeyboardInterrupt soon after an interrupt, whichever thread has received it."""
    while True:
        with suppress(Empty):
            return ended.get(timeout=_LOOK_S)
