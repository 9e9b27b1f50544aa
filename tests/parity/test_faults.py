"""Known faults of BinderHub's `Launcher` that hublaunch must not have."""

import asyncio
from typing import Any

import pytest

from hublaunch.launch.errors import (
    ImageNotAllowed,
    InvalidRequest,
)
from hublaunch.launch.rules.request import RESERVED_EXTRA_ARGS
from hublaunch.launcher import Launcher
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.served import Service

IMAGE = "quay.io/a/b:tag"
REPO = "https://github.com/minrk/binder-example.git"


async def test_a_retry_uses_a_new_user_and_deletes_the_last_one(service: Service, hub: FakeHub) -> None:
    hub.fail_on("start_server", status=500)

    events = await service.events((await service.launch())["events_url"])

    users = [(line.what, line.username) for line in hub.journal if line.what.startswith("user_")]
    assert [what for what, _ in users] == ["user_created", "user_deleted", "user_created"]
    assert users[0][1] == users[1][1] != users[2][1]
    assert (events[-1]["phase"], events[-1]["attempt"]) == ("ready", 2)
    assert any(event["message"].endswith("Trying again.") for event in events)


@pytest.mark.parametrize("operation", ["create_user", "start_server", "mint_token"])
async def test_the_retry_after_of_a_429_is_obeyed(hub: FakeHub, connect: Any, operation: Any) -> None:
    hub.fail_on(operation, status=429, headers={"Retry-After": "0"})
    async with connect(retry_delay=60) as launcher, asyncio.timeout(20):
        assert (await launcher.launch(IMAGE, "alice"))["url"]

    assert hub.asked(operation)[0].status == 429


async def test_a_stream_that_ends_early_is_reopened_until_the_server_is_ready(hub: FakeHub, launcher: Launcher) -> None:
    hub.spawn_plan("alice", SpawnPlan(never=True))
    hub.cut_progress("alice", after_events=1, how="end", times=3)
    async with asyncio.TaskGroup() as group:
        launching = group.create_task(launcher.launch(IMAGE, "alice"))
        await hub.until(lambda: len(hub.asked("progress")) > 3)
        assert not launching.done()

        hub.release("alice")
        server = await launching

    assert server["url"] == f"{hub.url}user/alice/"
    assert [request.status for request in hub.asked("reach_server")] == [200]


async def test_events_reach_the_callback_in_order(hub: FakeHub, launcher: Launcher) -> None:
    hub.spawn_plan("alice", SpawnPlan(messages=["slow", "quick"], seconds=0.1))
    told: list[str] = []

    async def callback(event: dict[str, Any]) -> None:
        if event["message"] == "slow":
            await hub.until(lambda: hub.count("server_ready"))
        told.append(event["message"])

    await launcher.launch(IMAGE, "alice", event_callback=callback)

    assert told[2:4] == ["slow", "quick"]


async def test_an_error_of_the_callback_ends_the_launch(hub: FakeHub, connect: Any) -> None:
    hub.spawn_plan("alice", SpawnPlan(never=True))

    def callback(event: dict[str, Any]) -> None:
        if event["message"] == "Server requested":
            raise ZeroDivisionError

    async with connect(launch_timeout=3) as launcher:
        with pytest.raises(ZeroDivisionError):
            await launcher.launch(IMAGE, "alice", event_callback=callback)

    assert hub.users == {}


async def test_the_image_is_checked(hub: FakeHub, connect: Any) -> None:
    async with connect(allowed_images=("quay.io/*",)) as launcher:
        with pytest.raises(InvalidRequest, match="image"):
            await launcher.launch("no image", "alice")
        with pytest.raises(ImageNotAllowed):
            await launcher.launch("ghcr.io/a/b", "alice")

    assert hub.requests == []


@pytest.mark.parametrize("key", sorted(RESERVED_EXTRA_ARGS))
async def test_extra_args_cannot_overwrite_image_or_token(hub: FakeHub, launcher: Launcher, key: str) -> None:
    with pytest.raises(InvalidRequest, match="extra_args"):
        await launcher.launch(IMAGE, "alice", extra_args={key: "evil"})

    assert hub.requests == []
