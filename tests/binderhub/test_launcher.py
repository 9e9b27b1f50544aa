"""`hublaunch.binderhub.Launcher`: the parts that BinderHub's code needs and its docs do not name."""

import asyncio
import gc
import subprocess
import sys
import weakref
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tornado.web import HTTPError

from hublaunch.binderhub import Launcher
from hublaunch.binderhub.launcher import _close
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.pace import QUICK

IMAGE = "quay.io/a/b:tag"


@pytest.fixture
def launcher(hub: FakeHub) -> Launcher:
    launcher = Launcher(hub_url=hub.url, hub_api_token=hub.api_token, retry_delay=0)
    launcher._pace = QUICK
    return launcher


# --- arguments and results --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "repo_url",
    [
        "10.5281/zenodo.3242074",
        "https://doi.org/10.7910/DVN/TJCLKP",
        "https://ckan.example.org/dataset/tides?activity_id=a1b2",
        "file:///srv/repositories/tides",
        "/srv/repositories/tides",
    ],
)
async def test_any_repo_url_is_accepted_and_passed_on_unchanged(
    hub: FakeHub, launcher: Launcher, repo_url: str
) -> None:
    server = await launcher.launch(IMAGE, launcher.unique_name_from_repo(repo_url), repo_url=repo_url)

    (user,) = hub.users.values()
    assert server["repo_url"] == (user.servers[""].user_options or {})["repo_url"] == repo_url


async def test_extra_args_replace_the_other_options_as_in_binderhubs_code(hub: FakeHub, launcher: Launcher) -> None:
    server = await launcher.launch(IMAGE, "alice", extra_args={"token": "own", "a": {"b": 1}})

    assert (server["token"], server["a"]) == ("own", {"b": 1})
    assert hub.users["alice"].servers[""].user_options == {
        "image": IMAGE,
        "repo_url": "",
        "token": "own",
        "a": {"b": 1},
    }


async def test_a_stopped_named_server_does_not_count_for_the_limit(hub: FakeHub, launcher: Launcher) -> None:
    hub.create_user("alice")
    launcher.create_user, launcher.named_server_limit_per_user = False, 1
    await launcher.launch(IMAGE, "alice", "one")
    await launcher.api_request("users/alice/servers/one", method="DELETE")
    await hub.until(lambda: hub.count("server_stopped"))

    assert (await launcher.launch(IMAGE, "alice", "two"))["url"]


# --- the hook ---------------------------------------------------------------------------------------------------------


async def test_an_error_of_the_hook_passes_through_before_the_hub_is_asked() -> None:
    error = ValueError("the operator's own words")

    def hook(*arguments: Any) -> None:
        raise error

    with pytest.raises(ValueError, match="own words") as raised:
        await Launcher(create_user=False, pre_launch_hook=hook).launch("image", "alice", "server", "repository")

    assert raised.value is error


# --- events -----------------------------------------------------------------------------------------------------------


async def test_a_ready_server_without_an_event_of_the_hub_gets_one_in_its_form(
    hub: FakeHub, launcher: Launcher
) -> None:
    hub.cut_progress("alice", after_events=0, how="end", times=9)
    events: list[dict[str, Any]] = []

    await launcher.launch(IMAGE, "alice", event_callback=events.append)

    assert events[-1] == {
        "progress": 100,
        "ready": True,
        "message": "The server is ready",
        "html_message": "The server is ready",
        "url": "/user/alice/",
    }


async def test_a_visitor_hears_why_the_launch_waits_while_the_hub_is_full(hub: FakeHub, launcher: Launcher) -> None:
    hub.fail_on("start_server", status=429, headers={"Retry-After": "1"})
    events: list[dict[str, Any]] = []

    await launcher.launch(IMAGE, "alice", event_callback=events.append)

    assert events[0] == {"progress": 0, "message": "JupyterHub is at its limit; asking again in 1 s"}


async def test_a_failed_spawn_ends_with_the_hubs_event_and_an_error_that_has_its_cause(
    hub: FakeHub, launcher: Launcher
) -> None:
    hub.spawn_plan("alice", SpawnPlan(fails="boom: 100 %"))
    events: list[dict[str, Any]] = []

    with pytest.raises(HTTPError) as failure:
        await launcher.launch(IMAGE, "alice", event_callback=events.append)

    assert events[-1]["failed"]
    assert failure.value.status_code == 500
    assert failure.value.log_message is not None
    assert failure.value.log_message % failure.value.args == "boom: 100 %"  # as BinderHub words it for its visitor


# --- requests and connections -----------------------------------------------------------------------------------------


async def test_api_request_obeys_the_retry_after_of_a_429(hub: FakeHub, launcher: Launcher) -> None:
    hub.create_user("alice")
    hub.fail_on("get_user", status=429, headers={"Retry-After": "1"})
    launcher.retry_delay = 60

    async with asyncio.timeout(20):
        assert (await launcher.get_user_data("alice"))["name"] == "alice"

    assert [request.status for request in hub.asked("get_user")] == [429, 200]


async def test_launches_share_connections_and_a_changed_trait_counts_for_the_next_one(
    hub: FakeHub, launcher: Launcher
) -> None:
    await asyncio.gather(*(launcher.launch(IMAGE, name) for name in ("alice", "bob")))
    shared = await launcher._connected()
    assert await launcher._connected() is shared

    launcher.hub_api_token = "not the token"
    with pytest.raises(HTTPError, match="403"):
        await launcher.launch(IMAGE, "carol")


def test_one_launcher_serves_several_event_loops(launcher: Launcher) -> None:
    launcher.hub_url, launcher.retries = "http://127.0.0.1:1/", 1

    for _ in range(2):
        with pytest.raises(HTTPError, match="no connection could be made"):
            asyncio.run(launcher.launch(IMAGE, "alice"))


def test_a_process_that_never_closes_its_loop_ends_without_a_word() -> None:
    program = (
        "import asyncio; from hublaunch.binderhub import Launcher\n"
        "launcher = Launcher(hub_url='http://127.0.0.1:1/', hub_api_token='a token of the Hub', retries=1)\n"
        "loop = asyncio.new_event_loop()\n"
        "try: loop.run_until_complete(launcher.launch('image', 'alice'))\n"
        "except Exception as error: print(error.status_code)\n"
    )

    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", program], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.stdout == "500\n"
    assert "Unclosed" not in done.stderr


async def test_connections_are_closed_even_if_garbage_is_collected_meanwhile() -> None:
    answers: list[weakref.ref[asyncio.Event]] = []
    closes, closed = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def connected() -> AsyncGenerator[None]:
        yield
        answer = asyncio.Event()  # known only to the task that waits for it
        answers.append(weakref.ref(answer))
        closes.set()
        await answer.wait()
        closed.set()

    context: Any = connected()
    await context.__aenter__()
    _close(asyncio.get_running_loop(), context)
    await closes.wait()
    del context

    gc.collect()

    answer = answers[0]()
    assert answer is not None
    answer.set()
    async with asyncio.timeout(10):
        await closed.wait()
