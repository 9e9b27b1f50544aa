"""BinderHub's documented traits of `Launcher`. Each heading is one; the words in backticks are BinderHub's."""

import asyncio
import logging
import math
import re
from pathlib import Path
from typing import Any

import pytest

from hublaunch.launch.errors import (
    HookRefused,
    HubRefused,
    HubUnavailable,
    InvalidRequest,
    SpawnTimedOut,
)
from hublaunch.launcher import Launcher
from tests.fakes.hub import FakeHub, SpawnPlan

IMAGE = "quay.io/a/b:tag"
REPO = "https://github.com/minrk/binder-example.git"


# --- `allow_named_servers`: each launch gets a server name of its own -------------------------------------------------


async def test_allow_named_servers_gives_names_that_jupyterhub_6_accepts(
    connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTERHUB_ALLOW_NAMED_SERVERS", "true")
    async with connect() as launcher:
        first, second = launcher.unique_name_from_repo(REPO), launcher.unique_name_from_repo(REPO)

    assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", first)
    assert len(first) <= 30
    assert first != second


async def test_a_named_server_is_launched_under_its_own_url(hub: FakeHub, connect: Any) -> None:
    hub.create_user("alice")
    async with connect(create_user=False) as launcher:
        server = await launcher.launch(IMAGE, "alice", "two")

    assert server["url"] == f"{hub.url}user/alice/two/"


# --- `create_user`: a new Hub user for each launch --------------------------------------------------------------------


async def test_without_create_user_the_user_must_exist(hub: FakeHub, connect: Any) -> None:
    async with connect(create_user=False) as launcher:
        with pytest.raises(InvalidRequest, match="no such user"):
            await launcher.launch(IMAGE, "alice")

    assert hub.users == {}


# --- `hub_api_token` --------------------------------------------------------------------------------------------------


async def test_hub_api_token_may_come_from_jupyterhub_and_is_never_shown(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", hub.api_token)
    hub.fail_on("get_user", how="reset")
    with caplog.at_level(logging.DEBUG):
        async with Launcher.connect(hub_url=hub.url, retry_delay=0) as launcher:
            with pytest.raises(HubRefused) as refusal:
                await launcher.get_user_data("nobody")

    assert refusal.value.status == 404
    assert "Retrying in" in caplog.text
    assert hub.api_token not in f"{caplog.text} {refusal.value!r} {vars(launcher)}"


# --- `hub_url`: what browsers use -------------------------------------------------------------------------------------


async def test_the_url_of_a_server_begins_with_hub_url(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERHUB_PUBLIC_HUB_URL", f"{hub.url}hub/")
    async with Launcher.connect(hub_api_token=hub.api_token) as launcher:
        server = await launcher.launch(IMAGE, "alice")

    assert launcher.hub_url == hub.url
    assert server["url"] == f"{hub.url}user/alice/"


# --- `hub_url_local`: for API calls -----------------------------------------------------------------------------------


async def test_api_calls_go_to_hub_url_local(hub: FakeHub, connect: Any) -> None:
    async with connect(hub_url="https://hub.example.org/", hub_url_local=hub.url, proxy_url=hub.url) as launcher:
        server = await launcher.launch(IMAGE, "alice")

    assert server["url"] == "https://hub.example.org/user/alice/"
    assert hub.count("server_ready", "alice") == 1


async def test_hub_url_local_defaults_to_jupyterhub_api_url_and_then_to_hub_url(
    hub: FakeHub, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect() as launcher:
        assert launcher.hub_url_local == hub.url

    monkeypatch.setenv("JUPYTERHUB_API_URL", hub.api_url)
    async with connect(hub_url="https://hub.example.org/") as launcher:
        assert launcher.hub_url_local == hub.url
        assert (await launcher.api_request("")).json() == {"version": hub.version}


# --- `launch_timeout`: seconds until ready ----------------------------------------------------------------------------


async def test_launch_timeout_stops_the_spawn_and_cleans_up(hub: FakeHub, connect: Any) -> None:
    hub.spawn_plan("alice", SpawnPlan(never=True))
    async with connect(launch_timeout=0.3) as launcher:
        with pytest.raises(SpawnTimedOut, match=r"0\.3 seconds"):
            await launcher.launch(IMAGE, "alice")

    assert hub.count("spawn_cancelled", "alice") == 1
    assert hub.users == {}


# --- `pre_launch_hook` ------------------------------------------------------------------------------------------------


async def test_pre_launch_hook_gets_the_launcher_image_username_server_name_and_repo_url(connect: Any) -> None:
    seen: list[Any] = []

    async def hook(*arguments: Any) -> None:
        seen.append(arguments)

    async with connect(pre_launch_hook=hook) as launcher:
        await launcher.launch(IMAGE, "alice", repo_url=REPO)

    assert seen == [(launcher, IMAGE, "alice", "", REPO)]


async def test_a_pre_launch_hook_given_by_its_dotted_path_refuses_before_anything_is_created(
    hub: FakeHub, connect: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
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


# --- `retries` and `retry_delay` --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("given", "attempts"), [({}, 4), ({"retries": 2}, 2)])
async def test_retries_is_the_number_of_attempts_in_all(
    hub: FakeHub, connect: Any, given: dict[str, int], attempts: int
) -> None:
    hub.fail_on("get_user", status=502, body="html", times=math.inf)
    async with connect(**given) as launcher:
        with pytest.raises(HubUnavailable, match="502"):
            await launcher.api_request("users/alice")

    assert len(hub.asked("get_user")) == attempts


async def test_retry_delay_doubles_with_each_retry(hub: FakeHub, connect: Any) -> None:
    hub.fail_on("get_user", status=502, body="html", times=math.inf)
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with connect(retry_delay=0.06) as launcher:
        with pytest.raises(HubUnavailable):
            await launcher.api_request("users/alice")

    least = 0.75 * (0.06 + 0.12 + 0.24)
    assert loop.time() - began >= least
