"""What goes on beside the requests, and what ends it."""

import asyncio
import logging
import signal
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType
from typing import Any

log = logging.getLogger(__name__)


@asynccontextmanager
async def background(work: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    """Let something go on beside the service, and end it with the service."""
    task = asyncio.create_task(work)
    task.add_done_callback(_log_failure)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error("What went on in the background has ended with an error", exc_info=error)


@contextmanager
def on_stop_signals(*reactions: Callable[[], None]) -> Generator[None]:
    """Let streams end when the process is told to stop: uvicorn waits for them before it ends the lifespan.

    Its own handlers are called after that. Signals reach the main thread only, so elsewhere this does nothing.
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
