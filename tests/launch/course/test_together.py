"""Two parts of one step, side by side: which error is raised."""

import asyncio

import pytest

from hublaunch.launch.course.together import together
from hublaunch.launch.errors import HubBusy


async def test_a_cancellation_is_raised_even_if_a_part_fails_at_the_same_moment() -> None:
    has_begun = asyncio.Event()

    async def fail_when_cancelled() -> None:
        has_begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise HubBusy("start the server", None)

    async def wait_forever(_: asyncio.Task[None]) -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(together(fail_when_cancelled(), wait_forever))
    await has_begun.wait()

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(asyncio.shield(task), 5)
    assert task.cancelled()


async def test_the_error_of_one_part_cancels_the_other_and_is_raised_unchanged() -> None:
    busy = HubBusy("start the server", None)

    async def fail() -> None:
        raise busy

    async def wait_forever(_: asyncio.Task[None]) -> None:
        await asyncio.Event().wait()

    with pytest.raises(HubBusy) as raised:
        await together(fail(), wait_forever)

    assert raised.value is busy
