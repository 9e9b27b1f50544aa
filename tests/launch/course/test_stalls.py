"""Launches that the Hub says nothing new about."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from hublaunch.launch.caller import Caller
from hublaunch.launch.course.stalls import Stalls
from hublaunch.launch.model import Event, Launch, LaunchRequest, StallReason, Status
from hublaunch.launch.pace import Pace
from hublaunch.launch.rules.stall import SILENCES_NEEDED
from hublaunch.store.sql import SqlLaunchStore
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.store.launches import READY
from tests.support.launching import Launching, OpenCore
from tests.support.pace import QUICK
from tests.support.silent import at_hub, silent_for

ANYBODY = Caller(kind="anonymous", key="192.0.2.7")
REQUEST = LaunchRequest(image="a/b", repo_url="https://example.org/a/b")
AT_ONCE = replace(QUICK, stalled_least_s=0.0, stalled_default_s=0.0)
NO_ROOM = {
    "progress": 20,
    "message": "2026-01-31T10:20:30Z [Warning] 0/3 nodes are available: 3 Insufficient memory.",
    "raw_event": {"reason": "FailedScheduling", "message": "0/3 nodes are available: 3 Insufficient memory."},
}


def stalls(store: SqlLaunchStore, pace: Pace = AT_ONCE) -> Stalls:
    return Stalls(silences=store.silences, launch_log=store.log, pace=pace)


async def until(store: SqlLaunchStore, launch: Launch, message: str) -> Launch:
    """Return the launch once its last event has this message."""
    while True:
        current = await store.log.get(launch.id)
        assert current is not None
        if current.last_event.message == message:
            return current


@asynccontextmanager
async def waiting_for_a_machine(core: Launching, hub: FakeHub) -> AsyncGenerator[Launch]:
    """A launch that waits for a machine while this context is open."""
    hub.spawn_plan(None, SpawnPlan(messages=[NO_ROOM], never=True))
    launch = await core.service.start(REQUEST, ANYBODY)
    yield await until(core.store, launch, "0/3 nodes are available: 3 Insufficient memory.")
    await core.cancel(launch)


async def events(store: SqlLaunchStore, launch: Launch) -> list[Event]:
    return list(await store.log.events(launch.id, after=0))


async def test_a_stalled_launch_says_so_once(core: Launching, hub: FakeHub) -> None:
    async with waiting_for_a_machine(core, hub) as launch:
        for _ in range(3):
            await stalls(core.store).check()
        *_, last, told = await events(core.store, launch)

    assert last.seq == launch.last_event.seq
    assert told.message == "Waiting for a machine for 1 minute. No machine has room for the server yet."
    assert (told.stalled_since, told.stalled_reason) == (last.at, StallReason.NO_MACHINE)
    assert (told.phase, told.stage, told.progress) == (last.phase, last.stage, last.progress)


async def test_news_ends_the_stall_and_a_later_silence_is_reported_again(core: Launching, hub: FakeHub) -> None:
    async with waiting_for_a_machine(core, hub) as launch:
        await stalls(core.store).check()
        hub.report(launch.attempt.username, "Successfully assigned a to b", progress=30)
        current = await until(core.store, launch, "Successfully assigned a to b")
        await stalls(core.store).check()
        *_, told = await events(core.store, launch)

    assert current.last_event.stalled_since is None
    assert told.message == "Starting the server for 1 minute."


async def test_a_repetition_is_not_news(core: Launching, hub: FakeHub) -> None:
    async with waiting_for_a_machine(core, hub) as launch:
        await stalls(core.store).check()
        hub.report(launch.attempt.username, "0/3 nodes are available: 3 Insufficient memory.", progress=20)
        hub.report(launch.attempt.username, "Running", progress=20)
        await until(core.store, launch, "Running")
        stored = await events(core.store, launch)

    assert [event.message.partition(".")[0] for event in stored][-3:] == [
        "0/3 nodes are available: 3 Insufficient memory",
        "Waiting for a machine for 1 minute",
        "Running",
    ]


async def test_a_launch_that_has_been_silent_for_less_than_usual_is_not_stalled(core: Launching, hub: FakeHub) -> None:
    async with waiting_for_a_machine(core, hub) as launch:
        await stalls(core.store, QUICK).check()
        *_, last = await events(core.store, launch)

    assert last.stalled_since is None


@pytest.mark.parametrize(("usual_s", "is_stalled"), [(100, True), (300, False)])
async def test_the_silences_of_earlier_launches_say_what_is_usual(
    store: SqlLaunchStore, usual_s: float, is_stalled: bool
) -> None:
    for _ in range(SILENCES_NEEDED):
        earlier = await silent_for(store, await at_hub(store), usual_s)
        await store.log.append(earlier, READY)
    launch = await silent_for(store, await at_hub(store), 200)

    await stalls(store, replace(QUICK, stalled_default_s=1000.0)).check()

    *_, last = await events(store, launch)
    assert (last.stalled_since is not None) == is_stalled


async def test_another_process_continues_the_silence_and_says_nothing_twice(
    open_core: OpenCore, hub: FakeHub, store: SqlLaunchStore
) -> None:
    hub.spawn_plan(None, SpawnPlan(messages=[NO_ROOM], never=True))
    async with open_core() as core:
        launch = await core.service.start(REQUEST, ANYBODY)
        launch = await until(store, launch, "0/3 nodes are available: 3 Insufficient memory.")
        await stalls(store).check()
    asked_before = len(hub.asked("progress"))
    async with open_core() as core:
        await hub.until(lambda: len(hub.asked("progress")) > asked_before)
        await stalls(store).check()
        hub.report(launch.attempt.username, "", progress=60)
        current = await until(store, launch, "0/3 nodes are available: 3 Insufficient memory.")
        stored = await events(store, launch)
        await core.cancel(launch)

    assert [event.stalled_since for event in stored if event.stalled_since] == [launch.last_event.at]
    assert current.status is Status.LAUNCHING
    assert current.last_event.progress == 60
