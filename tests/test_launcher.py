"""Launcher, the documented class: each row of its surface, and the faults of the original that must not return."""

import asyncio
import re
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from app.launch import spawn
from app.launch.errors import (
    HubRefused,
    ImageNotAllowed,
    InvalidRequest,
    NamedServerLimitReached,
    RepoNotAllowed,
    ServerAlreadyRunning,
    SpawnFailed,
    SpawnTimedOut,
)
from app.launcher import Launcher
from tests.fakes.hub import FakeHub, SpawnPlan

IMAGE = "quay.io/a/b:tag"
REPO = "https://github.com/minrk/binder-example.git"


@pytest.fixture
def connect(hub: FakeHub) -> Any:
    def connect(**settings: Any) -> Any:
        given: dict[str, Any] = {"hub_url": hub.url, "hub_api_token": hub.api_token, "retry_delay": 0} | settings
        return Launcher.connect(**given)

    return connect


@pytest.fixture
async def launcher(connect: Any) -> AsyncGenerator[Launcher]:
    async with connect() as launcher:
        yield launcher


async def test_launch_returns_url_image_repo_url_token_and_extra_args(hub: FakeHub, launcher: Launcher) -> None:
    server = await launcher.launch(IMAGE, "alice", repo_url=REPO, extra_args={"binder_ref_url": "x"})

    assert server["url"] == f"{hub.url}user/alice/"
    assert (server["image"], server["repo_url"], server["binder_ref_url"]) == (IMAGE, REPO, "x")
    assert hub.tokens.find(server["token"]) is not None


async def test_create_user_makes_a_new_user(hub: FakeHub, launcher: Launcher) -> None:
    await launcher.launch(IMAGE, "alice")

    assert hub.count("user_created", "alice") == 1


async def test_without_create_user_the_user_must_exist(connect: Any) -> None:
    async with connect(create_user=False) as launcher:
        with pytest.raises(InvalidRequest, match="no such user"):
            await launcher.launch(IMAGE, "alice")


async def test_a_running_default_server_is_refused_and_its_url_named(hub: FakeHub, connect: Any) -> None:
    hub.create_user("alice")
    await hub.start_server("alice", "", {})
    async with connect(create_user=False) as launcher:
        with pytest.raises(ServerAlreadyRunning) as refusal:
            await launcher.launch(IMAGE, "alice")

    assert refusal.value.url == f"{hub.url}user/alice/"
    assert hub.active_servers == {("alice", "")}


async def test_named_server_limit_per_user_counts_stopped_ones_too(hub: FakeHub, connect: Any) -> None:
    hub.create_user("alice")
    await hub.start_server("alice", "one", {})
    await hub.until(lambda: hub.count("server_ready"))
    await hub.stop_server("alice", "one", remove=False)
    async with connect(create_user=False, named_server_limit_per_user=1) as launcher:
        with pytest.raises(NamedServerLimitReached):
            await launcher.launch(IMAGE, "alice", "two")


async def test_a_named_server_is_launched_under_its_own_url(hub: FakeHub, connect: Any) -> None:
    hub.create_user("alice")
    async with connect(create_user=False) as launcher:
        server = await launcher.launch(IMAGE, "alice", "two")

    assert server["url"] == f"{hub.url}user/alice/two/"


async def test_allow_named_servers_gives_names_that_jupyterhub_6_takes(connect: Any) -> None:
    async with connect(allow_named_servers=True) as launcher:
        assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name := launcher.unique_name_from_repo(REPO))
    assert len(name) <= 30


async def test_unique_name_from_repo_says_what_the_repository_is(launcher: Launcher) -> None:
    assert re.fullmatch("minrk-binder-example-[a-z0-9]{8}", launcher.unique_name_from_repo(REPO))


async def test_get_user_data_is_the_hubs_user_model(hub: FakeHub, launcher: Launcher) -> None:
    hub.create_user("a b@~")

    assert (await launcher.get_user_data("a b@~"))["name"] == "a b@~"
    assert hub.requests[-1].raw_path == "/hub/api/users/a%20b@~"


async def test_api_request_sends_the_token_and_repeats_what_may_be_repeated(hub: FakeHub, launcher: Launcher) -> None:
    hub.create_user("alice")
    hub.fail_on("get_user", status=502, body="html", times=3)

    answer = await launcher.api_request("users/alice")

    assert answer.json()["name"] == "alice"
    assert len(hub.asked("get_user")) == 4


async def test_retries_is_the_number_of_attempts_in_all(hub: FakeHub, connect: Any) -> None:
    hub.fail_on("get_user", status=502, body="html", times=10)
    async with connect(retries=2) as launcher:
        with pytest.raises(Exception, match="502"):
            await launcher.api_request("users/alice")

    assert len(hub.asked("get_user")) == 2


async def test_other_4xx_are_raised_at_once(hub: FakeHub, launcher: Launcher) -> None:
    with pytest.raises(HubRefused) as refusal:
        await launcher.api_request("users/nobody")

    assert refusal.value.status == 404
    assert len(hub.requests) == 1


async def test_a_429_is_asked_again_after_its_retry_after(hub: FakeHub, launcher: Launcher) -> None:
    hub.create_user("alice")
    hub.fail_on("get_user", status=429, headers={"Retry-After": "0"})

    assert (await launcher.api_request("users/alice")).status_code == 200


async def test_the_hook_gets_the_launcher_and_refuses_before_anything_is_created(hub: FakeHub, connect: Any) -> None:
    seen: list[Any] = []

    async def hook(*arguments: Any) -> None:
        seen.extend(arguments)

    async with connect(pre_launch_hook=hook) as launcher:
        await launcher.launch(IMAGE, "alice", repo_url=REPO)

    assert seen == [launcher, IMAGE, "alice", "", REPO]


async def test_events_reach_the_callback_in_order_and_awaited(hub: FakeHub, launcher: Launcher) -> None:
    hub.spawn_plan("alice", SpawnPlan(messages=["one", "two", "three"], seconds=0.2))
    told: list[dict[str, Any]] = []

    async def callback(event: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        told.append(event)

    await launcher.launch(IMAGE, "alice", event_callback=callback)

    assert [event["message"] for event in told][2:-1] == ["one", "two", "three"]
    assert told[-1]["ready"]


async def test_an_error_of_the_callback_ends_the_launch_and_leaves_nothing(hub: FakeHub, launcher: Launcher) -> None:
    hub.spawn_plan("alice", SpawnPlan(never=True))

    def callback(event: dict[str, Any]) -> None:
        if event["message"] == "Server requested":
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await launcher.launch(IMAGE, "alice", event_callback=callback)

    assert hub.users == {}


async def test_a_failed_launch_leaves_no_user_behind(hub: FakeHub, launcher: Launcher) -> None:
    hub.spawn_plan("alice", SpawnPlan(fails="boom"))

    with pytest.raises(SpawnFailed, match="boom"):
        await launcher.launch(IMAGE, "alice")

    assert hub.users == {}


async def test_launch_timeout_stops_the_spawn_and_cleans_up(hub: FakeHub, connect: Any) -> None:
    hub.spawn_plan("alice", SpawnPlan(never=True))
    async with connect(launch_timeout=0.3) as launcher:
        with pytest.raises(SpawnTimedOut, match=r"0\.3 seconds"):
            await launcher.launch(IMAGE, "alice")

    assert hub.users == {}


async def test_a_cancelled_launch_leaves_nothing(hub: FakeHub, launcher: Launcher) -> None:
    hub.spawn_plan("alice", SpawnPlan(never=True))
    task = asyncio.create_task(launcher.launch(IMAGE, "alice"))
    await hub.until(lambda: hub.open_streams)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert hub.users == {}


async def test_a_start_that_worked_behind_a_502_is_not_reported_as_failed(hub: FakeHub, launcher: Launcher) -> None:
    hub.fail_on("start_server", status=502, body="html", act=True)

    assert (await launcher.launch(IMAGE, "alice"))["url"]
    assert hub.count("spawn_started") == 1


@pytest.mark.parametrize("username", ["", ".", "..", "a/b", "a\nb"])
async def test_names_that_would_lead_elsewhere_are_refused(hub: FakeHub, launcher: Launcher, username: str) -> None:
    with pytest.raises(InvalidRequest):
        await launcher.launch(IMAGE, username)

    assert hub.requests == []


@pytest.mark.parametrize("name", ["a%2fb", "é", "x" * 300, "a b", "a@b~c", "<script>", "?q=1", "#f"])
async def test_user_and_server_names_are_quoted_into_one_part_of_the_path(
    hub: FakeHub, launcher: Launcher, name: str
) -> None:
    await launcher.launch(IMAGE, name)

    assert {request.username for request in hub.requests} == {name}


async def test_the_image_is_checked_and_extra_args_cannot_overwrite_it(hub: FakeHub, launcher: Launcher) -> None:
    with pytest.raises(InvalidRequest):
        await launcher.launch("no image", "alice")
    with pytest.raises(InvalidRequest):
        await launcher.launch(IMAGE, "alice", extra_args={"image": "evil"})

    assert hub.requests == []


async def test_images_are_the_callers_business_unless_some_are_named(connect: Any) -> None:
    async with connect() as launcher:
        await launcher.launch(IMAGE, "alice")
    async with connect(allowed_images=("quay.io/other/*",)) as launcher:
        with pytest.raises(ImageNotAllowed):
            await launcher.launch(IMAGE, "bob")


async def test_bans_hold_for_the_library_too(hub: FakeHub, connect: Any) -> None:
    async with connect(banned_repos=("github.com/minrk/*",)) as launcher:
        with pytest.raises(RepoNotAllowed):
            await launcher.launch(IMAGE, "alice", repo_url=REPO)

    assert hub.requests == []


async def test_the_hubs_429_at_a_start_is_waited_out(
    hub: FakeHub, launcher: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spawn, "_BUSY_S", 0.01)
    hub.fail_on("start_server", status=429)

    assert (await launcher.launch(IMAGE, "alice"))["url"]
