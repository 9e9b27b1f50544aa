"""BinderHub's documented methods and behaviour of `Launcher`, one heading each."""

import asyncio
import inspect
import math
import re
from typing import Any

import httpx
import pytest

from hublaunch.launch.errors import (
    HubRefused,
    HubUnavailable,
    InvalidRequest,
    SpawnFailed,
)
from hublaunch.launcher import Launcher
from hublaunch.settings import BINDERHUB_EXTRA_ARGS, Settings
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.served import Service, serve

IMAGE = "quay.io/a/b:tag"
REPO = "https://github.com/minrk/binder-example.git"


# --- `api_request`: a Hub API request with the token, retried ---------------------------------------------------------


async def test_api_request_sends_the_token_and_retries_safe_requests(hub: FakeHub, launcher: Launcher) -> None:
    hub.create_user("alice")
    hub.fail_on("get_user", status=502, body="html", times=3)

    answer = await launcher.api_request("users/alice")

    assert answer.json()["name"] == "alice"
    assert len(hub.asked("get_user")) == 4


async def test_api_request_refuses_a_path_with_control_characters(hub: FakeHub, launcher: Launcher) -> None:
    with pytest.raises(httpx.InvalidURL):
        await launcher.api_request("users/alice HTTP/1.1\r\nX-Other: 1")

    assert not hub.requests


async def test_api_request_sends_a_post_only_once(hub: FakeHub, launcher: Launcher) -> None:
    hub.fail_on("create_user", status=502, body="html", act=True)

    with pytest.raises(HubUnavailable, match="502"):
        await launcher.api_request("users/alice", method="POST")

    assert len(hub.asked("create_user")) == 1


# --- `launch` ---------------------------------------------------------------------------------------------------------


def test_launch_takes_the_arguments_of_binderhubs_in_their_order() -> None:
    parameters = inspect.signature(Launcher.launch).parameters

    assert [*parameters][1:] == ["image", "username", "server_name", "repo_url", "extra_args", "event_callback"]
    assert [parameters[name].default for name in ("server_name", "repo_url", "extra_args", "event_callback")] == [
        "",
        "",
        None,
        None,
    ]


async def test_launch_returns_url_image_repo_url_token_and_extra_args(hub: FakeHub, launcher: Launcher) -> None:
    server = await launcher.launch(IMAGE, "alice", repo_url=REPO, extra_args={"binder_ref_url": "x"})

    assert set(server) == {"url", "image", "repo_url", "token", "binder_ref_url"}
    assert server["url"] == f"{hub.url}user/alice/"
    assert (server["image"], server["repo_url"], server["binder_ref_url"]) == (IMAGE, REPO, "x")
    assert hub.tokens.find(server["token"]) is not None


async def test_a_cancelled_launch_leaves_nothing_behind(hub: FakeHub, launcher: Launcher) -> None:
    hub.spawn_plan("alice", SpawnPlan(never=True))
    task = asyncio.create_task(launcher.launch(IMAGE, "alice"))
    await hub.until(lambda: hub.open_streams)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert hub.users == {}


@pytest.mark.parametrize("username", ["", ".", "..", "a/b", "a\nb"])
async def test_names_that_break_out_of_the_path_are_refused(hub: FakeHub, launcher: Launcher, username: str) -> None:
    with pytest.raises(InvalidRequest):
        await launcher.launch(IMAGE, username)

    assert hub.requests == []


async def test_a_failed_clean_up_is_logged_and_does_not_hide_the_cause(
    hub: FakeHub, launcher: Launcher, caplog: pytest.LogCaptureFixture
) -> None:
    hub.spawn_plan("alice", SpawnPlan(fails="boom"))
    hub.fail_on("delete_user", status=403, message="not yours")

    with pytest.raises(SpawnFailed, match="boom"):
        await launcher.launch(IMAGE, "alice")

    assert "The user or server of the launch of alice/ was not deleted" in caplog.text


# --- `get_user_data` --------------------------------------------------------------------------------------------------


async def test_get_user_data_is_the_hubs_user_model(hub: FakeHub, launcher: Launcher) -> None:
    hub.create_user("alice")

    model = await launcher.get_user_data("alice")

    assert model == (await launcher.api_request("users/alice")).json()
    assert (model["name"], model["kind"], model["servers"]) == ("alice", "user", {})


# --- `unique_name_from_repo` (more in tests/launch/rules/test_names.py) ---------------------------------------


async def test_unique_name_from_repo_contains_the_repository(launcher: Launcher) -> None:
    assert re.fullmatch("minrk-binder-example-[a-z0-9]{8}", launcher.unique_name_from_repo(REPO))


# --- 409 on a repeated request is success -----------------------------------------------------------------------------


async def test_a_409_on_a_repeated_request_is_success(hub: FakeHub, connect: Any) -> None:
    hub.fail_on("create_user", how="reset")
    async with connect(retry_delay=0.1) as launcher, asyncio.TaskGroup() as group:
        launching = group.create_task(launcher.launch(IMAGE, "alice"))
        await hub.until(lambda: hub.asked("get_user"))
        hub.create_user("alice")  # the first request takes effect only after the inspection

        server = await launching

    assert [request.status for request in hub.asked("create_user")] == [None, 409]
    assert server["url"]


# --- 5xx and connection errors are retried, other 4xx raise at once ---------------------------------------------------


@pytest.mark.parametrize("status", [400, 403, 404, 409])
async def test_other_4xx_are_raised_at_once(hub: FakeHub, launcher: Launcher, status: int) -> None:
    hub.fail_on("get_user", status=status)

    with pytest.raises(HubRefused) as refusal:
        await launcher.api_request("users/nobody")

    assert refusal.value.status == status
    assert len(hub.requests) == 1


# --- launch retries of `builder.py`: a new name each ------------------------------------------------------------------


async def test_a_launch_has_as_many_attempts_as_retries_allows(settings: Settings, hub: FakeHub) -> None:
    hub.fail_on("start_server", status=500, times=math.inf)
    async with serve(settings, retries=2) as service:
        events = await service.events((await service.launch())["events_url"])

    assert (events[-1]["phase"], events[-1]["attempt"]) == ("failed", 2)
    assert hub.count("user_created") == 2
    assert hub.users == {}


# --- BinderHub's `extra_args` -----------------------------------------------------------------------------------------


async def test_binderhubs_extra_args_are_passed_into_user_options(service: Service, hub: FakeHub) -> None:
    extra_args = dict.fromkeys(BINDERHUB_EXTRA_ARGS, "x")

    await service.events((await service.launch(extra_args=extra_args))["events_url"])

    (user,) = hub.users.values()
    options = user.servers[""].user_options
    assert options is not None
    assert extra_args.items() <= options.items()
