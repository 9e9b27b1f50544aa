"""The line as it is stored."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import event

from app.launch.guard import Guard
from app.launch.model import Caller, Status, Step
from app.store.sql import SqlLaunchStore
from tests.launching import UNGUARDED
from tests.store.launches import new_launch

GUARDED = Guard(mode="normal", failure_limit=4)


def equal(_: str) -> float:
    return 1.0


@pytest.fixture
async def in_line(store: SqlLaunchStore) -> AsyncIterator[list[str]]:
    """Two launches of ada's, the older ones, and one of bob's."""
    launches = [new_launch(caller=Caller(kind="key", key=key)) for key in ("ada", "ada", "bob")]
    for launch in launches:
        await store.accept(launch)
    async with asyncio.timeout(20):
        yield sorted(launch.id for launch in launches)


async def test_a_look_at_the_line_is_of_one_instant_though_somebody_is_admitted_meanwhile(
    store: SqlLaunchStore, in_line: list[str]
) -> None:
    loop, admissions = asyncio.get_running_loop(), list[object]()

    @event.listens_for(store._database.reading, "after_cursor_execute")
    def admit_one(*_: object) -> None:
        if not admissions:
            admitting = asyncio.run_coroutine_threadsafe(store.admit(most=1, weight=equal, guard=UNGUARDED), loop)
            admissions.append(admitting.result(timeout=10))

    during = await store.queue(weight=equal, lately_s=60)
    afterwards = await store.queue(weight=equal, lately_s=60)

    first, second, bobs = in_line
    assert len(admissions) == 1
    assert during.launch_ids == (first, bobs, second)
    assert afterwards.launch_ids == (bobs, second)


async def test_while_the_hub_is_to_be_left_alone_it_is_not_the_guard_that_holds_launches_back(
    store: SqlLaunchStore,
) -> None:
    launch = await store.accept(new_launch(time_left_s=600))
    await store.admit(most=1, weight=equal, guard=GUARDED)
    busy = Step(phase=Status.WAITING, progress=None, message="JupyterHub is at its limit")

    await store.put_back(launch, busy, time_left_s=600, waits_until=launch.deadline_at, pause_s=60)
    through = await store.admit(most=1, weight=equal, guard=GUARDED)

    assert (through.admitted, through.guard, through.holds_back) == ([], "open", False)
