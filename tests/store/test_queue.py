"""The queue in SQL."""

import asyncio
from collections.abc import AsyncIterator
from random import Random
from string import ascii_letters

import pytest
from sqlalchemy import event

from hublaunch.launch.caller import Caller
from hublaunch.launch.model import LaunchRequest, Status, Step
from hublaunch.launch.rules.guard import Guard
from hublaunch.launch.rules.repo_url import REPO_URL_MAX, check_repo_url
from hublaunch.store.sql import SqlLaunchStore
from tests.store.launches import new_launch
from tests.support.launching import UNGUARDED

GUARDED = Guard(mode="normal", failure_limit=4)


def equal(_: str) -> float:
    return 1.0


@pytest.fixture
async def in_queue(store: SqlLaunchStore) -> AsyncIterator[list[str]]:
    """Two launches of ada's, the older ones, and one of bob's."""
    launches = [new_launch(caller=Caller(kind="key", key=key)) for key in ("ada", "ada", "bob")]
    for launch in launches:
        await store.intake.accept(launch)
    async with asyncio.timeout(20):
        yield sorted(launch.id for launch in launches)


async def test_positions_are_consistent_during_an_admission(store: SqlLaunchStore, in_queue: list[str]) -> None:
    loop, admissions = asyncio.get_running_loop(), list[object]()

    @event.listens_for(store.database.reading, "after_cursor_execute")
    def admit_one(*_: object) -> None:
        if not admissions:
            admitting = asyncio.run_coroutine_threadsafe(store.queue.admit(most=1, weight=equal, guard=UNGUARDED), loop)
            admissions.append(admitting.result(timeout=10))

    during = await store.queue.positions(weight=equal, lately_s=60)
    afterwards = await store.queue.positions(weight=equal, lately_s=60)

    first, second, bobs = in_queue
    assert len(admissions) == 1
    assert during.launch_ids == (first, bobs, second)
    assert afterwards.launch_ids == (bobs, second)


async def test_during_a_pause_of_the_hub_the_guard_does_not_count_as_holding_back(store: SqlLaunchStore) -> None:
    launch = await store.intake.accept(new_launch(time_left_s=600))
    await store.queue.admit(most=1, weight=equal, guard=GUARDED)
    busy = Step(phase=Status.WAITING, progress=None, message="JupyterHub is at its limit")

    await store.queue.requeue(launch, busy, time_left_s=600, waits_until=launch.deadline_at, pause_s=60)
    through = await store.queue.admit(most=1, weight=equal, guard=GUARDED)

    assert (through.admitted, through.guard, through.holds_back) == ([], "open", False)


async def test_the_turns_of_callers_with_the_longest_repositories_are_kept(store: SqlLaunchStore) -> None:
    """PostgreSQL refuses keys above 2,704 bytes, after it has compressed them."""
    random = Random(18)
    repo_url = "https://e.org/" + "".join(random.choices(ascii_letters, k=REPO_URL_MAX - len("https://e.org/")))
    check_repo_url(repo_url)
    request = LaunchRequest(image="quay.io/jupyter/base-notebook", repo_url=repo_url)
    for _ in range(2):
        await store.intake.accept(new_launch(caller=Caller(kind="anonymous", key="2001:db8::1"), request=request))

    through = await store.queue.admit(most=1, weight=equal, guard=UNGUARDED)

    assert len(through.admitted) == 1
