"""Known faults of BinderHub's `Launcher` that hublaunch must not have."""

import asyncio
from typing import Any

import pytest

from hublaunch.launch.errors import (
    ImageNotAllowed,
    InvalidRequest,
    RepoNotAllowed,
    SpawnFailed,
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


async def test_a_failed_launch_deletes_its_user(hub: FakeHub, launcher: Launcher) -> None:
    hub.spawn_plan("alice", SpawnPlan(fails="boom"))

    with pytest.raises(SpawnFailed, match="boom"):
        await launcher.launch(IMAGE, "alice")

    assert hub.users == {}


@pytest.mark.parametrize("retry_after", ["0", "Sun, 06 Nov 1994 08:49:37 GMT"])
@pytest.mark.parametrize("operation", ["create_user", "start_server", "mint_token"])
async def test_the_retry_after_of_a_429_is_obeyed(hub: FakeHub, connect: Any, operation: Any, retry_after: str) -> None:
    hub.fail_on(operation, status=429, headers={"Retry-After": retry_after})
    async with connect(retry_delay=60) as launcher, asyncio.timeout(20):
        assert (await launcher.launch(IMAGE, "alice"))["url"]

    assert hub.asked(operation)[0].status == 429


async def test_a_400_for_a_start_that_worked_is_no_failure(hub: FakeHub, connect: Any) -> None:
    hub.fail_on("start_server", how="reset")
    async with connect(retry_delay=0.1) as launcher, asyncio.TaskGroup() as group:
        launching = group.create_task(launcher.launch(IMAGE, "alice"))
        await hub.until(lambda: [each.operation for each in hub.requests[-2:]] == ["get_user", "progress"])
        await hub.start_server("alice", "", {})  # the first request takes effect only after the inspection

        server = await launching

    assert [request.status for request in hub.asked("start_server")] == [None, 400]
    assert server["url"] == f"{hub.url}user/alice/"
    assert hub.count("spawn_started") == 1


async def test_a_reopened_stream_replays_no_events(hub: FakeHub, launcher: Launcher) -> None:
    hub.spawn_plan("alice", SpawnPlan(messages=["one", "two", "three"], seconds=0.3))
    hub.cut_progress("alice", after_events=3)
    told: list[str] = []

    await launcher.launch(IMAGE, "alice", event_callback=lambda event: told.append(event["message"]))

    assert len(hub.asked("progress")) >= 2
    assert told[1:-1] == ["Server requested", "one", "two", "three"]


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


@pytest.mark.parametrize("server_name", ["a b", "é", "?q=1", "#f", "a%2fb"])
async def test_the_server_name_is_quoted(hub: FakeHub, connect: Any, server_name: str) -> None:
    hub.version = "5.5.4"  # later ones take plain names only
    hub.create_user("alice")
    async with connect(create_user=False, launch_timeout=3) as launcher:
        await launcher.launch(IMAGE, "alice", server_name)

    of_a_server = [hub.asked("start_server"), hub.asked("progress"), hub.asked("reach_server")]
    assert all(of_a_server)
    assert {request.server_name for requests in of_a_server for request in requests} == {server_name}


async def test_the_image_is_checked(hub: FakeHub, connect: Any) -> None:
    async with connect(allowed_images=("quay.io/*",)) as launcher:
        with pytest.raises(InvalidRequest, match="image"):
            await launcher.launch("no image", "alice")
        with pytest.raises(ImageNotAllowed):
            await launcher.launch("ghcr.io/a/b", "alice")

    assert hub.requests == []


async def test_banned_repositories_are_refused(hub: FakeHub, connect: Any) -> None:
    async with connect(banned_repos=("github.com/minrk/*",)) as launcher:
        with pytest.raises(RepoNotAllowed):
            await launcher.launch(IMAGE, "alice", repo_url=REPO)

    assert hub.requests == []


@pytest.mark.parametrize("key", sorted(RESERVED_EXTRA_ARGS))
async def test_extra_args_cannot_overwrite_image_or_token(hub: FakeHub, launcher: Launcher, key: str) -> None:
    with pytest.raises(InvalidRequest, match="extra_args"):
        await launcher.launch(IMAGE, "alice", extra_args={key: "evil"})

    assert hub.requests == []


async def test_the_token_is_not_in_the_servers_options(hub: FakeHub, launcher: Launcher) -> None:
    server = await launcher.launch(IMAGE, "alice")

    # BinderHub's spawner puts the token of its options on the command line.
    assert hub.users["alice"].servers[""].user_options == {"image": IMAGE, "repo_url": ""}
    assert not [request for request in hub.requests if server["token"].encode() in request.body]


@pytest.mark.parametrize("plan", [SpawnPlan(), SpawnPlan(fails="boom")])
async def test_existing_users_need_no_admin_users(hub: FakeHub, connect: Any, plan: SpawnPlan) -> None:
    hub.create_user("alice")
    hub.spawn_plan("alice", plan)
    hub.scopes.remove("admin:users")
    async with connect(create_user=False) as launcher:
        if plan.fails:
            with pytest.raises(SpawnFailed, match=plan.fails):
                await launcher.launch(IMAGE, "alice", "two")
        else:
            await launcher.launch(IMAGE, "alice", "two")

    assert 403 not in {request.status for request in hub.requests}
    assert hub.asked("create_user") == hub.asked("delete_user") == []
