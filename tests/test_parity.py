"""BinderHub's `Launcher`, row by row of its documented surface, then the faults of that class that must not return.

Each heading is a row; the words in backticks are BinderHub's. Its quotas and metrics have no counterpart here yet.
"""

import asyncio
import inspect
import logging
import math
import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest

from hublaunch.api.problems.types import STATUS
from hublaunch.launch.errors import (
    HookRefused,
    HubRefused,
    HubUnavailable,
    ImageNotAllowed,
    InvalidRequest,
    NamedServerLimitReached,
    RepoNotAllowed,
    ServerAlreadyRunning,
    SpawnFailed,
    SpawnTimedOut,
)
from hublaunch.launch.rules.request import RESERVED_EXTRA_ARGS
from hublaunch.launcher import Launcher
from hublaunch.settings import BINDERHUB_EXTRA_ARGS, Settings
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.pace import QUICK
from tests.support.served import Service, serve

IMAGE = "quay.io/a/b:tag"
REPO = "https://github.com/minrk/binder-example.git"


@pytest.fixture
def connect(hub: FakeHub) -> Any:
    def connect(**settings: Any) -> Any:
        given: dict[str, Any] = {"hub_url": hub.url, "hub_api_token": hub.api_token, "retry_delay": 0} | settings
        return Launcher.connect(pace=QUICK, **given)

    return connect


@pytest.fixture
async def launcher(connect: Any) -> AsyncGenerator[Launcher]:
    async with connect() as launcher:
        yield launcher


# --- `allow_named_servers`: each launch gets a server name of its own -------------------------------------------------


async def test_allow_named_servers_gives_names_that_jupyterhub_6_takes(
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


# --- `api_request`: a Hub API request with the token, retried ---------------------------------------------------------


async def test_api_request_sends_the_token_and_repeats_what_may_be_repeated(hub: FakeHub, launcher: Launcher) -> None:
    hub.create_user("alice")
    hub.fail_on("get_user", status=502, body="html", times=3)

    answer = await launcher.api_request("users/alice")

    assert answer.json()["name"] == "alice"
    assert len(hub.asked("get_user")) == 4


async def test_api_request_quotes_what_is_not_quoted(hub: FakeHub, launcher: Launcher) -> None:
    hub.create_user("a b")

    answer = await launcher.api_request("users/a b")

    assert answer.json()["name"] == "a b"
    assert hub.requests[-1].raw_path == "/hub/api/users/a%20b"


async def test_api_request_sends_no_path_that_would_be_more_than_a_path(hub: FakeHub, launcher: Launcher) -> None:
    with pytest.raises(httpx.InvalidURL):
        await launcher.api_request("users/alice HTTP/1.1\r\nX-Other: 1")

    assert not hub.requests


async def test_api_request_asks_a_post_once_as_the_hub_may_have_acted(hub: FakeHub, launcher: Launcher) -> None:
    hub.fail_on("create_user", status=502, body="html", act=True)

    with pytest.raises(HubUnavailable, match="502"):
        await launcher.api_request("users/alice", method="POST")

    assert len(hub.asked("create_user")) == 1


# --- `create_user`: a new Hub user for each launch --------------------------------------------------------------------


async def test_create_user_makes_a_new_user(hub: FakeHub, launcher: Launcher) -> None:
    await launcher.launch(IMAGE, "alice")

    assert hub.count("user_created", "alice") == 1


async def test_without_create_user_the_user_must_exist(hub: FakeHub, connect: Any) -> None:
    async with connect(create_user=False) as launcher:
        with pytest.raises(InvalidRequest, match="no such user"):
            await launcher.launch(IMAGE, "alice")

    assert hub.users == {}


# --- `hub_api_token` --------------------------------------------------------------------------------------------------


async def test_hub_api_token_may_come_from_the_hub_and_is_never_shown(
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


async def test_hub_url_local_is_where_the_api_is_called(hub: FakeHub, connect: Any) -> None:
    async with connect(hub_url="https://hub.example.org/", hub_url_local=hub.url, proxy_url=hub.url) as launcher:
        server = await launcher.launch(IMAGE, "alice")

    assert server["url"] == "https://hub.example.org/user/alice/"
    assert hub.count("server_ready", "alice") == 1


async def test_hub_url_local_is_the_hubs_jupyterhub_api_url_else_hub_url(
    hub: FakeHub, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect() as launcher:
        assert launcher.hub_url_local == hub.url

    monkeypatch.setenv("JUPYTERHUB_API_URL", hub.api_url)
    async with connect(hub_url="https://hub.example.org/") as launcher:
        assert launcher.hub_url_local == hub.url
        assert (await launcher.api_request("")).json() == {"version": hub.version}


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


async def test_events_reach_the_callback_in_order_and_awaited(hub: FakeHub, launcher: Launcher) -> None:
    hub.spawn_plan("alice", SpawnPlan(messages=["one", "two", "three"], seconds=0.2))
    told: list[dict[str, Any]] = []

    async def callback(event: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        told.append(event)

    await launcher.launch(IMAGE, "alice", event_callback=callback)

    assert [event["message"] for event in told][2:-1] == ["one", "two", "three"]
    assert told[-1]["ready"]


async def test_a_cancelled_launch_leaves_nothing(hub: FakeHub, launcher: Launcher) -> None:
    hub.spawn_plan("alice", SpawnPlan(never=True))
    task = asyncio.create_task(launcher.launch(IMAGE, "alice"))
    await hub.until(lambda: hub.open_streams)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert hub.users == {}


@pytest.mark.parametrize("username", ["", ".", "..", "a/b", "a\nb"])
async def test_names_that_would_lead_elsewhere_are_refused(hub: FakeHub, launcher: Launcher, username: str) -> None:
    with pytest.raises(InvalidRequest):
        await launcher.launch(IMAGE, username)

    assert hub.requests == []


async def test_a_hub_that_will_not_delete_is_logged_and_hides_no_cause(
    hub: FakeHub, launcher: Launcher, caplog: pytest.LogCaptureFixture
) -> None:
    hub.spawn_plan("alice", SpawnPlan(fails="boom"))
    hub.fail_on("delete_user", status=403, message="not yours")

    with pytest.raises(SpawnFailed, match="boom"):
        await launcher.launch(IMAGE, "alice")

    assert "The user or server of the launch of alice/ was not deleted" in caplog.text


# --- `launch_timeout`: seconds until ready ----------------------------------------------------------------------------


async def test_launch_timeout_stops_the_spawn_and_cleans_up(hub: FakeHub, connect: Any) -> None:
    hub.spawn_plan("alice", SpawnPlan(never=True))
    async with connect(launch_timeout=0.3) as launcher:
        with pytest.raises(SpawnTimedOut, match=r"0\.3 seconds"):
            await launcher.launch(IMAGE, "alice")

    assert hub.count("spawn_cancelled", "alice") == 1
    assert hub.users == {}


# --- `named_server_limit_per_user` ------------------------------------------------------------------------------------


async def test_named_server_limit_per_user_counts_stopped_ones_too(
    hub: FakeHub, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTERHUB_NAMED_SERVER_LIMIT_PER_USER", "1")
    await _stopped_server(hub, "alice", "one")
    async with connect(create_user=False) as launcher:
        with pytest.raises(NamedServerLimitReached):
            await launcher.launch(IMAGE, "alice", "two")

    assert set(hub.users["alice"].servers) == {"", "one"}


async def test_a_named_server_limit_per_user_of_0_is_none(hub: FakeHub, connect: Any) -> None:
    await _stopped_server(hub, "alice", "one")
    async with connect(create_user=False, named_server_limit_per_user=0) as launcher:
        await launcher.launch(IMAGE, "alice", "two")

    assert hub.active_servers == {("alice", "two")}


async def test_a_launch_that_failed_does_not_count_against_the_limit(hub: FakeHub, connect: Any) -> None:
    hub.create_user("alice")
    hub.spawn_plan("alice", SpawnPlan(fails="boom"))
    async with connect(create_user=False, named_server_limit_per_user=1) as launcher:
        with pytest.raises(SpawnFailed):
            await launcher.launch(IMAGE, "alice", "one")
        hub.spawn_plan("alice", SpawnPlan())

        await launcher.launch(IMAGE, "alice", "two")

    assert set(hub.users["alice"].servers) == {"", "two"}


async def _stopped_server(hub: FakeHub, username: str, server_name: str) -> None:
    hub.create_user(username)
    await hub.start_server(username, server_name, {})
    await hub.until(lambda: hub.count("server_ready"))
    await hub.stop_server(username, server_name, remove=False)


# --- `pre_launch_hook` ------------------------------------------------------------------------------------------------


async def test_pre_launch_hook_gets_the_launcher_image_username_server_name_and_repo_url(connect: Any) -> None:
    seen: list[Any] = []

    async def hook(*arguments: Any) -> None:
        seen.append(arguments)

    async with connect(pre_launch_hook=hook) as launcher:
        await launcher.launch(IMAGE, "alice", repo_url=REPO)

    assert seen == [(launcher, IMAGE, "alice", "", REPO)]


async def test_pre_launch_hook_is_named_by_its_dotted_path_and_refuses_before_anything_is_created(
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


async def test_retry_delay_is_doubled_each_time(hub: FakeHub, connect: Any) -> None:
    hub.fail_on("get_user", status=502, body="html", times=math.inf)
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with connect(retry_delay=0.06) as launcher:
        with pytest.raises(HubUnavailable):
            await launcher.api_request("users/alice")

    least = 0.75 * (0.06 + 0.12 + 0.24)
    assert loop.time() - began >= least


# --- `get_user_data` --------------------------------------------------------------------------------------------------


async def test_get_user_data_is_the_hubs_user_model(hub: FakeHub, launcher: Launcher) -> None:
    hub.create_user("alice")

    model = await launcher.get_user_data("alice")

    assert model == (await launcher.api_request("users/alice")).json()
    assert (model["name"], model["kind"], model["servers"]) == ("alice", "user", {})


# --- `unique_name_from_repo` (more in tests/launch/rules/test_names.py) ---------------------------------------


async def test_unique_name_from_repo_says_what_the_repository_is(launcher: Launcher) -> None:
    assert re.fullmatch("minrk-binder-example-[a-z0-9]{8}", launcher.unique_name_from_repo(REPO))


# --- progress at `users/{u}/server/progress`, of a named server at `users/{u}/servers/{s}/progress` -------------------


@pytest.mark.parametrize(("server_name", "path"), [("", "server/progress"), ("two", "servers/two/progress")])
async def test_progress_is_read_where_the_hub_tells_it_of_the_default_and_of_a_named_server(
    hub: FakeHub, connect: Any, server_name: str, path: str
) -> None:
    hub.create_user("alice")
    async with connect(create_user=False) as launcher:
        await launcher.launch(IMAGE, "alice", server_name)

    assert {request.raw_path for request in hub.asked("progress")} == {f"/hub/api/users/alice/{path}"}


# --- names are escaped as `quote(username, safe="@~")` ----------------------------------------------------------------


async def test_a_user_name_is_quoted_but_for_at_and_tilde(hub: FakeHub, launcher: Launcher) -> None:
    hub.create_user("a b@~")

    await launcher.get_user_data("a b@~")

    assert hub.requests[-1].raw_path == "/hub/api/users/a%20b@~"


@pytest.mark.parametrize("name", ["a%2fb", "é", "x" * 300, "a b", "a@b~c", "<script>", "?q=1", "#f"])
async def test_a_user_name_is_one_part_of_every_path(hub: FakeHub, launcher: Launcher, name: str) -> None:
    await launcher.launch(IMAGE, name)

    assert {request.username for request in hub.requests} == {name}


# --- 409 on a repeated request is success -----------------------------------------------------------------------------


async def test_a_user_that_was_made_behind_a_502_is_taken_for_made(hub: FakeHub, launcher: Launcher) -> None:
    hub.fail_on("create_user", status=502, body="html", act=True)

    assert (await launcher.launch(IMAGE, "alice"))["url"]
    assert hub.count("user_created") == 1


async def test_a_409_on_a_repeated_request_is_success(hub: FakeHub, connect: Any) -> None:
    hub.fail_on("create_user", how="reset")
    async with connect(retry_delay=0.1) as launcher, asyncio.TaskGroup() as group:
        launching = group.create_task(launcher.launch(IMAGE, "alice"))
        await hub.until(lambda: hub.asked("get_user"))
        hub.create_user("alice")  # what was asked for takes effect only after the look

        server = await launching

    assert [request.status for request in hub.asked("create_user")] == [None, 409]
    assert server["url"]


# --- 5xx and connection errors are retried, other 4xx raise at once ---------------------------------------------------


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 502, "body": "html"}, {"how": "reset"}, {"how": "drop"}])
async def test_5xx_and_connection_errors_are_retried(hub: FakeHub, launcher: Launcher, fault: dict[str, Any]) -> None:
    hub.create_user("alice")
    hub.fail_on("get_user", **fault)

    assert (await launcher.get_user_data("alice"))["name"] == "alice"
    assert len(hub.asked("get_user")) == 2


@pytest.mark.parametrize("status", [400, 403, 404, 409])
async def test_other_4xx_are_raised_at_once(hub: FakeHub, launcher: Launcher, status: int) -> None:
    hub.fail_on("get_user", status=status)

    with pytest.raises(HubRefused) as refusal:
        await launcher.api_request("users/nobody")

    assert refusal.value.status == status
    assert len(hub.requests) == 1


# --- an existing default server of an authenticated user: 409 ---------------------------------------------------------


async def test_a_running_default_server_is_refused_with_409_and_its_url_named(hub: FakeHub, connect: Any) -> None:
    hub.create_user("alice")
    await hub.start_server("alice", "", {})
    async with connect(create_user=False) as launcher:
        with pytest.raises(ServerAlreadyRunning) as refusal:
            await launcher.launch(IMAGE, "alice")

    assert STATUS[ServerAlreadyRunning] == 409
    assert refusal.value.url == f"{hub.url}user/alice/"
    assert hub.active_servers == {("alice", "")}


# --- launch retries of `builder.py`: a new name each ------------------------------------------------------------------


async def test_a_launch_is_tried_again_with_a_new_name_and_says_so(service: Service, hub: FakeHub) -> None:
    hub.fail_on("start_server", status=500)

    events = await service.events((await service.launch())["events_url"])

    assert (events[-1]["phase"], events[-1]["attempt"]) == ("ready", 2)
    assert any(event["message"].endswith("Trying again.") for event in events)
    first, second = [line.username for line in hub.journal if line.what == "user_created"]
    assert first != second


async def test_a_launch_is_tried_as_often_as_retries_says(settings: Settings, hub: FakeHub) -> None:
    hub.fail_on("start_server", status=500, times=math.inf)
    async with serve(settings.model_copy(update={"retries": 2})) as service:
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


# === known faults of that class =======================================================================================


async def test_fault_a_new_user_per_retry_is_left_behind(service: Service, hub: FakeHub) -> None:
    hub.fail_on("start_server", status=500)

    await service.events((await service.launch())["events_url"])

    users = [line.what for line in hub.journal if line.what.startswith("user_")]
    assert users == ["user_created", "user_deleted", "user_created"]


async def test_fault_a_failed_launch_leaves_its_user_behind(hub: FakeHub, launcher: Launcher) -> None:
    hub.spawn_plan("alice", SpawnPlan(fails="boom"))

    with pytest.raises(SpawnFailed, match="boom"):
        await launcher.launch(IMAGE, "alice")

    assert hub.users == {}


async def test_fault_429_is_fatal(hub: FakeHub, launcher: Launcher) -> None:
    hub.fail_on("create_user", status=429)
    hub.fail_on("start_server", status=429)
    hub.fail_on("mint_token", status=429)

    assert (await launcher.launch(IMAGE, "alice"))["url"]


@pytest.mark.parametrize("retry_after", ["0", "Sun, 06 Nov 1994 08:49:37 GMT"])
@pytest.mark.parametrize("operation", ["create_user", "start_server", "mint_token"])
async def test_fault_retry_after_is_ignored(hub: FakeHub, connect: Any, operation: Any, retry_after: str) -> None:
    hub.fail_on(operation, status=429, headers={"Retry-After": retry_after})
    async with connect(retry_delay=60) as launcher, asyncio.timeout(20):
        assert (await launcher.launch(IMAGE, "alice"))["url"]

    assert hub.asked(operation)[0].status == 429


async def test_a_retry_after_that_is_neither_seconds_nor_a_date_is_none(hub: FakeHub, launcher: Launcher) -> None:
    hub.create_user("alice")
    hub.fail_on("get_user", status=429, headers={"Retry-After": "soon"})

    assert (await launcher.api_request("users/alice")).status_code == 200


async def test_fault_a_launch_that_worked_is_reported_as_failed_after_400(hub: FakeHub, connect: Any) -> None:
    hub.fail_on("start_server", how="reset")
    async with connect(retry_delay=0.1) as launcher, asyncio.TaskGroup() as group:
        launching = group.create_task(launcher.launch(IMAGE, "alice"))
        await hub.until(lambda: [each.operation for each in hub.requests[-2:]] == ["get_user", "progress"])
        await hub.start_server("alice", "", {})  # what was asked for takes effect only after the look

        server = await launching

    assert [request.status for request in hub.asked("start_server")] == [None, 400]
    assert server["url"] == f"{hub.url}user/alice/"
    assert hub.count("spawn_started") == 1


async def test_fault_a_launch_that_worked_is_reported_as_failed_after_502(hub: FakeHub, launcher: Launcher) -> None:
    hub.fail_on("start_server", status=502, body="html", act=True)

    assert (await launcher.launch(IMAGE, "alice"))["url"]
    assert len(hub.asked("start_server")) == hub.count("spawn_started") == 1


async def test_fault_events_are_replayed_on_a_retried_stream(hub: FakeHub, launcher: Launcher) -> None:
    hub.spawn_plan("alice", SpawnPlan(messages=["one", "two", "three"], seconds=0.3))
    hub.cut_progress("alice", after_events=3)
    told: list[str] = []

    await launcher.launch(IMAGE, "alice", event_callback=lambda event: told.append(event["message"]))

    assert len(hub.asked("progress")) >= 2
    assert told[1:-1] == ["Server requested", "one", "two", "three"]


async def test_fault_readiness_is_never_asked_for_when_the_stream_ends_early(hub: FakeHub, launcher: Launcher) -> None:
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


async def test_fault_a_timeout_stops_nothing(settings: Settings, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    async with serve(settings.model_copy(update={"launch_timeout": 0.3})) as service:
        events = await service.events((await service.launch())["events_url"])

    assert events[-1]["problem"]["code"] == "launch_timeout"
    assert hub.count("spawn_cancelled") == 1
    assert hub.users == {}


async def test_fault_events_are_reordered(hub: FakeHub, launcher: Launcher) -> None:
    hub.spawn_plan("alice", SpawnPlan(messages=["slow", "quick"], seconds=0.1))
    told: list[str] = []

    async def callback(event: dict[str, Any]) -> None:
        if event["message"] == "slow":
            await hub.until(lambda: hub.count("server_ready"))
        told.append(event["message"])

    await launcher.launch(IMAGE, "alice", event_callback=callback)

    assert told[2:4] == ["slow", "quick"]


async def test_fault_errors_of_the_callback_are_lost(hub: FakeHub, connect: Any) -> None:
    hub.spawn_plan("alice", SpawnPlan(never=True))

    def callback(event: dict[str, Any]) -> None:
        if event["message"] == "Server requested":
            raise ZeroDivisionError

    async with connect(launch_timeout=3) as launcher:
        with pytest.raises(ZeroDivisionError):
            await launcher.launch(IMAGE, "alice", event_callback=callback)

    assert hub.users == {}


@pytest.mark.parametrize("server_name", ["a b", "é", "?q=1", "#f", "a%2fb"])
async def test_fault_the_server_name_is_not_quoted(hub: FakeHub, connect: Any, server_name: str) -> None:
    hub.version = "5.5.4"  # later ones take plain names only
    hub.create_user("alice")
    async with connect(create_user=False, launch_timeout=3) as launcher:
        await launcher.launch(IMAGE, "alice", server_name)

    of_a_server = [hub.asked("start_server"), hub.asked("progress"), hub.asked("reach_server")]
    assert all(of_a_server)
    assert {request.server_name for requests in of_a_server for request in requests} == {server_name}


async def test_fault_the_image_is_unchecked(hub: FakeHub, connect: Any) -> None:
    async with connect(allowed_images=("quay.io/*",)) as launcher:
        with pytest.raises(InvalidRequest, match="image"):
            await launcher.launch("no image", "alice")
        with pytest.raises(ImageNotAllowed):
            await launcher.launch("ghcr.io/a/b", "alice")

    assert hub.requests == []


async def test_images_are_the_callers_business_unless_some_are_named(hub: FakeHub, launcher: Launcher) -> None:
    server = await launcher.launch(IMAGE, "alice")

    assert server["image"] == IMAGE


async def test_bans_of_repositories_hold_for_the_library_too(hub: FakeHub, connect: Any) -> None:
    async with connect(banned_repos=("github.com/minrk/*",)) as launcher:
        with pytest.raises(RepoNotAllowed):
            await launcher.launch(IMAGE, "alice", repo_url=REPO)

    assert hub.requests == []


@pytest.mark.parametrize("key", sorted(RESERVED_EXTRA_ARGS))
async def test_fault_extra_args_overwrite_image_and_token(hub: FakeHub, launcher: Launcher, key: str) -> None:
    with pytest.raises(InvalidRequest, match="extra_args"):
        await launcher.launch(IMAGE, "alice", extra_args={key: "evil"})

    assert hub.requests == []


async def test_fault_the_token_is_on_a_processs_command_line(hub: FakeHub, launcher: Launcher) -> None:
    server = await launcher.launch(IMAGE, "alice")

    # BinderHub's spawner takes it from there: what is not in the options, no spawner can put into arguments.
    assert hub.users["alice"].servers[""].user_options == {"image": IMAGE, "repo_url": ""}
    assert not [request for request in hub.requests if server["token"].encode() in request.body]


@pytest.mark.parametrize("plan", [SpawnPlan(), SpawnPlan(fails="boom")])
async def test_fault_admin_users_is_needed_with_existing_users(hub: FakeHub, connect: Any, plan: SpawnPlan) -> None:
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
