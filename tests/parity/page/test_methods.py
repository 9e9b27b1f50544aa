"""The rows of BinderHub's page on the methods."""

import inspect
import json
import re
from typing import Any

import pytest
from tornado.httpclient import HTTPClientError
from tornado.web import HTTPError

from hublaunch.launch.errors import LaunchError
from hublaunch.launcher import Launcher
from tests.hubs.placed import PlacedHub
from tests.hubs.quick_server import BROKEN_IMAGES
from tests.parity.conftest import Connect, only_drop_in
from tests.support.relay import Relay

pytestmark = [pytest.mark.real_hub, pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="module")]

IMAGE = "quay.io/jupyter/base-notebook:latest"
REPO = "https://github.com/minrk/binder-example.git"
REFUSALS = (LaunchError, HTTPError)


# --- api_request, get_user_data ---------------------------------------------------------------------------------------


async def test_api_request_makes_a_request_to_the_api_of_jupyterhub(hub: PlacedHub, connect: Connect) -> None:
    async with connect() as launcher:
        answer = await launcher.api_request("user")

    body = answer.content if hasattr(answer, "content") else answer.body
    assert json.loads(body)["name"] == "hublaunch"


@only_drop_in
async def test_api_request_takes_the_arguments_of_tornados_request(hub: PlacedHub, connect: Connect, name: str) -> None:
    chunks: list[bytes] = []
    async with connect() as launcher:
        created = await launcher.api_request(f"users/{name}", "POST", {"X-Own": "1"}, b"")
        headers = {"Content-Type": "application/json"}
        changed = await launcher.api_request(
            f"users/{name}", method="PATCH", headers=headers, body=json.dumps({"admin": False})
        )
        await launcher.api_request(f"users/{name}", streaming_callback=chunks.append, request_timeout=5)

    assert (created.code, json.loads(created.body)["name"]) == (201, name)
    assert changed.headers["Content-Type"] == "application/json"
    assert headers == {"Content-Type": "application/json"}  # no token has got into them
    assert json.loads(b"".join(chunks))["name"] == name


@only_drop_in
async def test_api_request_raises_tornados_error_and_takes_a_repeated_409_for_success(
    hub: PlacedHub, connect: Connect, name: str
) -> None:
    async with Relay(hub.local_url) as relay, connect(hub_url_local=f"{relay.url}/") as launcher:
        with pytest.raises(HTTPClientError) as absent:
            await launcher.api_request(f"users/{name}")
        relay.answers_to_lose = 1
        repeated = await launcher.api_request(f"users/{name}", method="POST", body=b"")
        with pytest.raises(HTTPClientError) as taken:
            await launcher.api_request(f"users/{name}", method="POST", body=b"")
        relay.close()
        with pytest.raises(HTTPClientError) as silent:
            await launcher.api_request(f"users/{name}")

    assert [absent.value.code, repeated.code, taken.value.code, silent.value.code] == [404, 409, 409, 599]


async def test_get_user_data_returns_the_users_model(hub: PlacedHub, connect: Connect) -> None:
    """As in BinderHub's code, the drop-in takes the name percent-encoded. `hublaunch.Launcher` encodes it itself."""
    await hub.create_user("a b@c")
    async with connect() as launcher:
        model = await launcher.get_user_data("a b@c" if isinstance(launcher, Launcher) else "a%20b@c")

    assert (model["name"], model["kind"], model["servers"]) == ("a b@c", "user", {})


# --- unique_name_from_repo --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("repo_url", "stem"),
    [
        (REPO, "minrk-binder-example"),
        ("git@github.com:Org/Repo.git", "org-repo"),
        (f"https://example.org/{'a' * 20}/{'b' * 20}", f"{'a' * 15}-{'b' * 15}"),
    ],
    ids=["https", "ssh", "long"],
)
async def test_unique_name_from_repo_makes_a_unique_name_for_the_url_of_a_repository(
    connect: Connect, repo_url: str, stem: str
) -> None:
    async with connect() as launcher:
        first, second = launcher.unique_name_from_repo(repo_url), launcher.unique_name_from_repo(repo_url)

    assert re.fullmatch(rf"{stem}-[a-z0-9]{{8}}", first)
    assert first != second


# --- launch -----------------------------------------------------------------------------------------------------------


async def test_launch_has_six_parameters_and_needs_two_of_them(connect: Connect) -> None:
    async with connect() as launcher:
        parameters = inspect.signature(launcher.launch).parameters

    defaults = {name: parameter.default for name, parameter in parameters.items()}
    given = {"image": inspect.Parameter.empty, "username": inspect.Parameter.empty}
    assert defaults == given | {"server_name": "", "repo_url": "", "extra_args": None, "event_callback": None}


async def test_launch_starts_a_server_for_a_user_who_is_logged_in_and_has_none(
    hub: PlacedHub, connect: Connect, name: str
) -> None:
    await hub.create_user(name)
    async with connect(create_user=False) as launcher:
        await launcher.launch(IMAGE, name)
        with pytest.raises(REFUSALS, match="already running") as refusal:
            await launcher.launch(IMAGE, name)

    assert getattr(refusal.value, "status_code", 409) == 409
    assert (await hub.user(name))["servers"][""]["ready"]


async def test_launch_generates_a_token_for_the_server(hub: PlacedHub, connect: Connect, name: str) -> None:
    """BinderHub's spawner takes it from `user_options`. `hublaunch.Launcher` gets one from the Hub by default."""
    async with connect() as launcher:
        server = await launcher.launch(IMAGE, name)

    if isinstance(launcher, Launcher):
        assert (await hub.get(f"{server['url']}api?token={server['token']}")).status_code == 200
    else:
        assert (await hub.user(name))["servers"][""]["user_options"]["token"] == server["token"]
    assert len(server["token"]) > 20


async def test_launch_returns_the_url_the_image_the_repo_url_and_the_token(
    hub: PlacedHub, connect: Connect, name: str
) -> None:
    async with connect() as launcher:
        server = await launcher.launch(IMAGE, name, repo_url=REPO)

    assert set(server) == {"url", "image", "repo_url", "token"}
    assert (server["url"], server["image"], server["repo_url"]) == (f"{hub.url}user/{name}/", IMAGE, REPO)


async def test_launch_passes_extra_args_to_the_server_and_returns_them(
    hub: PlacedHub, connect: Connect, name: str
) -> None:
    """The page has one key `extra_args` in the result. BinderHub's code merges them into it, and its clients read them
    there, so the code holds.
    """
    extra_args = {"binder_ref_url": f"{REPO}/tree/HEAD", "binder_request": "v2/gh/minrk/binder-example/HEAD"}
    async with connect() as launcher:
        server = await launcher.launch(IMAGE, name, extra_args=extra_args)

    assert extra_args.items() <= server.items()
    assert extra_args.items() <= (await hub.user(name))["servers"][""]["user_options"].items()


@only_drop_in
async def test_launch_passes_each_event_of_the_hub_to_event_callback(
    hub: PlacedHub, connect: Connect, name: str
) -> None:
    """The page names the parameter only. In BinderHub's code it is awaited with each event as the Hub sends it."""
    events: list[dict[str, Any]] = []

    async def callback(event: dict[str, Any]) -> None:
        events.append(event)

    async with connect() as launcher:
        await launcher.launch(IMAGE, name, event_callback=callback)
        assert [event["progress"] for event in events] == [0, 20, 50, 100]
        assert events[0] == {"progress": 0, "message": "Server requested"}
        assert events[-1:] == await hub.progress(name)
        assert {"ready", "html_message", "url"} < set(events[-1])

        events.clear()
        with pytest.raises(HTTPError, match="the server process ended with status 1"):
            await launcher.launch(BROKEN_IMAGES, f"{name}-2", event_callback=callback)

    reason = "Spawn failed: the server process ended with status 1 before it was ready"
    assert events[-1] == {"progress": 100, "failed": True, "message": reason}
