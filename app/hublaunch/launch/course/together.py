"""Two parts of one step, side by side."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

A = TypeVar("A")
B = TypeVar("B")


async def together(beside: Coroutine[Any, Any, A], work: Callable[[asyncio.Task[A]], Awaitable[B]]) -> tuple[A, B]:
    """Run `beside` in a task, and `work` with that task as its argument. Return both results.

    The first error of either cancels the other, and is raised unchanged. If the caller is cancelled at the moment when
    a part fails, CancelledError is raised. Before Python 3.13, a TaskGroup alone raises only the part's error: a
    retry would then continue a launch that must stop.
    """
    try:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(beside)
            result = await work(task)
    except BaseExceptionGroup as errors:
        caller = asyncio.current_task()
        if caller is not None and caller.cancelling():
            raise asyncio.CancelledError from errors
        raise errors.exceptions[0] from errors
    return task.result(), result
