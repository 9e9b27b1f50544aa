"""Known faults of BinderHub's `Launcher` that neither class of hublaunch may have."""

import asyncio
import logging
import math
from pathlib import Path
from typing import Any

import httpx
import pytest
from tornado.httpclient import HTTPClientError
from tornado.web import HTTPError

from hublaunch.launch.errors import (
    HookRefused,
    HubUnavailable,
    ImageNotAllowed,
    InvalidRequest,
    LaunchError,
)
from hublaunch.launch.rules.request import RESERVED_EXTRA_ARGS
from hublaunch.launcher import Launcher
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.parity.conftest import Connect, only_native
from tests.support.served import Service, serve

IMAGE = "quay.io/a/b:tag"
REFUSALS = (LaunchError, HTTPError)


# --- nothing is left behind -------------------------------------------------------------------------------------------


async def test_a_retry_uses_a_new_user_and_deletes_the_last_one(service: Service, hub: FakeHub) -> None:
    hub.fail_on("start_server", status=500)

    events = await service.events((await service.launch())["events_url"])

    users = [(line.what, line.username) for line in hub.journal if line.what.startswith("user_")]
    assert [what for what, _ in users] == ["user_created", "user_deleted", "user_created"]
    assert users[0][1] == users[1][1] != users[2][1]
    assert (events[-1]["phase"], events[-1]["attempt"]) == ("ready", 2)
    assert any(event["message"].endswith("Trying again.") for event in events)


async def test_a_launch_has_as_many_attempts_as_retries_allows(settings: Settings, hub: FakeHub) -> None:
    hub.fail_on("start_server", status=500, times=math.inf)
    async with serve(settings.model_copy(update={"retries": 2})) as service:
        events = await service.events((await service.launch())["events_url"])

    assert (events[-1]["phase"], events[-1]["attempt"]) == ("failed", 2)
    assert hub.count("user_created") == 2
    assert hub.users == {}


async def test_a_failed_launch_leaves_nothing_behind(hub: FakeHub, launcher: Any) -> None:
    hub.spawn_plan("alice", SpawnPlan(fails="boom"))

    with pytest.raises(REFUSALS, match="boom"):
        await launcher.launch(IMAGE, "alice")

    assert hub.users == {}


async def test_a_cancelled_launch_leaves_nothing_behind(hub: FakeHub, launcher: Any) -> None:
    hub.spawn_plan("alice", SpawnPlan(never=True))
    task = asyncio.create_task(launcher.launch(IMAGE, "alice"))
    await hub.until(lambda: hub.open_streams)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert hub.count("spawn_cancelled", "alice") == 1
    assert hub.users == {}


async def test_an_error_of_the_callback_ends_the_launch_and_leaves_nothing_behind(hub: FakeHub, launcher: Any) -> None:
    hub.spawn_plan("alice", SpawnPlan(never=True))

    def callback(event: dict[str, Any]) -> None:
        if event["message"] == "Server requested":
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await launcher.launch(IMAGE, "alice", event_callback=callback)

    assert hub.users == {}


async def test_a_failed_clean_up_is_logged_and_does_not_hide_the_cause(
    hub: FakeHub, launcher: Any, caplog: pytest.LogCaptureFixture
) -> None:
    hub.spawn_plan("alice", SpawnPlan(fails="boom"))
    hub.fail_on("delete_user", status=403, message="not yours")

    with pytest.raises(REFUSALS, match="boom"):
        await launcher.launch(IMAGE, "alice")

    assert "The user or server of the launch of alice/ was not deleted" in caplog.text


# --- requests to the Hub ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["create_user", "start_server"])
async def test_the_retry_after_of_a_429_is_obeyed(hub: FakeHub, connect: Connect, operation: Any) -> None:
    hub.fail_on(operation, status=429, headers={"Retry-After": "0"})
    async with connect(retry_delay=60) as launcher, asyncio.timeout(20):
        assert (await launcher.launch(IMAGE, "alice"))["url"]

    assert hub.asked(operation)[0].status == 429


async def test_a_start_whose_answer_is_lost_starts_one_server(hub: FakeHub, launcher: Any) -> None:
    hub.fail_on("start_server", status=502, body="html", act=True)

    assert (await launcher.launch(IMAGE, "alice"))["url"]

    assert len(hub.asked("start_server")) == hub.count("server_ready") == 1


async def test_a_409_on_a_repeated_request_is_success(hub: FakeHub, connect: Connect) -> None:
    hub.fail_on("create_user", how="reset")
    async with connect(retry_delay=1) as launcher, asyncio.TaskGroup() as group:
        launching = group.create_task(launcher.launch(IMAGE, "alice"))
        await hub.until(lambda: hub.asked("get_user"))
        hub.create_user("alice")  # the first request takes effect only after the inspection

        server = await launching

    assert [request.status for request in hub.asked("create_user")] == [None, 409]
    assert server["url"]


@pytest.mark.parametrize("status", [400, 403, 404, 409])
async def test_other_4xx_are_raised_immediately(hub: FakeHub, launcher: Any, status: int) -> None:
    hub.fail_on("get_user", status=status)

    with pytest.raises((LaunchError, HTTPClientError), match=str(status)):
        await launcher.get_user_data("nobody")

    assert len(hub.requests) == 1


@pytest.mark.parametrize("username", ["", ".", "..", "a/b", "a\nb"])
async def test_names_that_break_out_of_the_path_are_refused(hub: FakeHub, launcher: Any, username: str) -> None:
    with pytest.raises(REFUSALS, match="must be a name that JupyterHub accepts") as refusal:
        await launcher.launch(IMAGE, username)

    assert getattr(refusal.value, "status_code", 400) == 400
    assert hub.requests == []


@only_native
async def test_api_request_sends_a_post_only_once(hub: FakeHub, launcher: Launcher) -> None:
    hub.fail_on("create_user", status=502, body="html", act=True)

    with pytest.raises(HubUnavailable, match="502"):
        await launcher.api_request("users/alice", method="POST")

    assert len(hub.asked("create_user")) == 1


@only_native
async def test_api_request_refuses_a_path_with_control_characters(hub: FakeHub, launcher: Launcher) -> None:
    with pytest.raises(httpx.InvalidURL):
        await launcher.api_request("users/alice HTTP/1.1\r\nX-Other: 1")

    assert not hub.requests


async def test_the_token_is_never_shown(hub: FakeHub, connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    hub.fail_on("get_user", how="reset")
    with caplog.at_level(logging.DEBUG):
        async with connect() as launcher:
            with pytest.raises(Exception, match="404") as refusal:
                await launcher.get_user_data("nobody")

    assert "Retrying in" in caplog.text
    assert hub.api_token not in f"{caplog.text} {refusal.value!r}"


# --- progress ---------------------------------------------------------------------------------------------------------


async def test_a_stream_that_ends_early_is_reopened_until_the_server_is_ready(hub: FakeHub, launcher: Any) -> None:
    hub.spawn_plan("alice", SpawnPlan(never=True))
    hub.cut_progress("alice", after_events=1, how="end", times=3)
    events: list[dict[str, Any]] = []
    async with asyncio.TaskGroup() as group:
        launching = group.create_task(launcher.launch(IMAGE, "alice", event_callback=events.append))
        await hub.until(lambda: len(hub.asked("progress")) > 3)
        assert not launching.done()

        hub.release("alice")
        server = await launching

    assert server["url"] == f"{hub.url}user/alice/"
    assert [request.status for request in hub.asked("reach_server")] == [200]
    assert [event["message"] for event in events].count("Server requested") == 1


async def test_events_reach_the_callback_in_order(hub: FakeHub, launcher: Any) -> None:
    hub.spawn_plan("alice", SpawnPlan(messages=["slow", "quick"], seconds=0.1))
    told: list[str] = []

    async def callback(event: dict[str, Any]) -> None:
        if event["message"] == "slow":
            await hub.until(lambda: hub.count("server_ready"))
        told.append(event["message"])

    await launcher.launch(IMAGE, "alice", event_callback=callback)

    assert [message for message in told if message in ("slow", "quick")] == ["slow", "quick"]


# --- checks of the request, which the drop-in leaves to BinderHub -----------------------------------------------------


@only_native
async def test_the_image_is_checked(hub: FakeHub, connect: Connect) -> None:
    async with connect(allowed_images=("quay.io/*",)) as launcher:
        with pytest.raises(InvalidRequest, match="image"):
            await launcher.launch("no image", "alice")
        with pytest.raises(ImageNotAllowed):
            await launcher.launch("ghcr.io/a/b", "alice")

    assert hub.requests == []


@only_native
@pytest.mark.parametrize("key", sorted(RESERVED_EXTRA_ARGS))
async def test_extra_args_cannot_overwrite_image_or_token(hub: FakeHub, launcher: Launcher, key: str) -> None:
    with pytest.raises(InvalidRequest, match="extra_args"):
        await launcher.launch(IMAGE, "alice", extra_args={key: "evil"})

    assert hub.requests == []


@only_native
async def test_a_pre_launch_hook_given_by_its_dotted_path_refuses_before_anything_is_created(
    hub: FakeHub, connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "operators_hook.py").write_text(
        "class Refusal(Exception):\n    status_code, detail = 451, 'not today'\n\n"
        "def refuse(*arguments):\n    raise Refusal\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("LAUNCHER_PRE_LAUNCH_HOOK", "operators_hook.refuse")
    async with connect() as launcher:
        with pytest.raises(HookRefused, match="not today") as refusal:
            await launcher.launch(IMAGE, "alice")

    assert refusal.value.status_code == 451
    assert hub.requests == []
