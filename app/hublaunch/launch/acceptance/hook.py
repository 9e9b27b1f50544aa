"""PreLaunchHook: the operator's function that may refuse a launch."""

import asyncio
import inspect
import logging
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from threading import Thread
from typing import Any

from hublaunch.launch.errors import HookFailed, HookRefused
from hublaunch.launch.rules.messages import clean

log = logging.getLogger(__name__)


class PreLaunchHook:
    """The operator's function, called once for each launch, before anything is stored or created.

    Its arguments are those of BinderHub's hook: (launcher, image, username, server_name, repo_url). A plain function
    runs in a thread, so it may block. To refuse the launch, the function raises an error with a `status_code`, such as
    tornado's `web.HTTPError` or Starlette's `HTTPException`.
    """

    def __init__(
        self, function: Callable[..., Any], launcher: object, *, timeout_s: float = 10.0, threads_max: int = 32
    ) -> None:
        """`threads_max`: calls of a plain function at once. Hooks that hang use up these threads, and no others."""
        self._function = function
        self._launcher = launcher
        self._timeout_s = timeout_s
        self._threads = asyncio.Semaphore(threads_max)

    async def check(self, image: str, username: str, server_name: str, repo_url: str) -> None:
        """Raise HookRefused if the hook refuses the launch, HookFailed if it fails or takes more than `timeout_s`.

        A plain function that takes longer continues in its thread, and its result is ignored. While all threads are in
        use, further calls wait for one, within the same time.
        """
        try:
            async with asyncio.timeout(self._timeout_s) as limit:
                await self._call(self._launcher, image, username, server_name, repo_url)
        except Exception as error:
            status_code = getattr(error, "status_code", None)
            if isinstance(status_code, int):
                raise HookRefused(status_code, _reason(error)) from error
            log.exception("The pre_launch_hook failed")
            reason = "took too long" if limit.expired() else "raised an unexpected error"
            raise HookFailed(reason) from error

    async def _call(self, *args: object) -> None:
        if inspect.iscoroutinefunction(self._function):
            await self._function(*args)
            return
        result = await self._in_thread(*args)
        if inspect.isawaitable(result):
            await result

    async def _in_thread(self, *args: object) -> object:
        """Call the function in a daemon thread, which does not delay the exit of the process."""
        await self._threads.acquire()
        loop, context = asyncio.get_running_loop(), copy_context()
        returned: Future[object] = Future()
        returned.set_running_or_notify_cancel()  # so that the thread can set its result even after a timeout

        def call() -> None:
            try:
                returned.set_result(context.run(self._function, *args))
            except BaseException as error:  # noqa: BLE001 - the caller raises it
                returned.set_exception(error)
            with suppress(RuntimeError):  # the loop has been closed
                loop.call_soon_threadsafe(self._threads.release)

        try:
            Thread(target=call, name="pre_launch_hook", daemon=True).start()
        except BaseException:  # the system allows this process no more threads
            self._threads.release()
            raise
        return await asyncio.wrap_future(returned)


def _reason(error: Exception) -> str:
    """Return the text that a tornado or Starlette error has for the caller."""
    for name in ("log_message", "detail", "reason"):
        if isinstance(text := getattr(error, name, None), str) and text:
            return clean(_filled_in(text, error.args) if name == "log_message" else text)
    return "The operator's check refused this launch."


def _filled_in(log_message: str, args: tuple[object, ...]) -> str:
    """Format the text of tornado's `HTTPError(451, "not %s", "today")`; leave it alone if the arguments do not fit."""
    try:
        return log_message % args
    except (TypeError, ValueError):
        return log_message
