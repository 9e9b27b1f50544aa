"""The rows of BinderHub's page on the class and its traits."""

import asyncio
import time
from typing import Any

import pytest
from tornado.httpclient import HTTPClientError
from tornado.web import HTTPError
from traitlets.config import Application, Config

from hublaunch.binderhub import Launcher as DropIn
from hublaunch.launch.errors import LaunchError, SpawnTimedOut
from hublaunch.settings import Settings
from tests.hubs.placed import PlacedHub
from tests.hubs.quick_server import GATED_IMAGE
from tests.parity.conftest import Connect, only_drop_in
from tests.support.relay import Relay

pytestmark = [pytest.mark.real_hub, pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="module")]

IMAGE = "quay.io/jupyter/base-notebook:latest"
REPO = "https://github.com/minrk/binder-example.git"
REFUSALS = (LaunchError, HTTPError)
FAILURES = (LaunchError, HTTPClientError)
SHORTEST_OF_A_SECOND = 0.75
"""`hublaunch.Launcher` spreads its pauses by a quarter."""


# --- the class --------------------------------------------------------------------------------------------------------


async def test_it_launches_an_image_with_a_temporary_user_via_jupyterhub(
    hub: PlacedHub, connect: Connect, name: str
) -> None:
    async with connect() as launcher:
        server = await launcher.launch(IMAGE, name)

    assert await hub.users() == [name]
    assert (await hub.get(f"{server['url']}api")).status_code == 200


@only_drop_in
async def test_an_instance_takes_its_traits_by_name_and_a_parent(connect: Connect) -> None:
    application = Application(log_level=50)

    async with connect(parent=application, create_user=False) as launcher:
        assert (launcher.parent, launcher.log, launcher.create_user) == (application, application.log, False)


@only_drop_in
async def test_c_launcher_configures_the_six_traits_that_are_documented_with_it(connect: Connect) -> None:
    configured = {
        "allow_named_servers": True,
        "named_server_limit_per_user": 2,
        "retries": 7,
        "retry_delay": 9,
        "launch_timeout": 11,
        "pre_launch_hook": print,
    }

    launcher = DropIn(config=Config({"Launcher": configured}))

    assert {trait: getattr(launcher, trait) for trait in configured} == configured
    assert set(DropIn.class_own_traits(config=True)) == set(configured)
    others = {"hub_api_token", "hub_url", "hub_url_local", "create_user"}
    assert set(DropIn.class_own_traits()) - set(configured) == others


# --- allow_named_servers, named_server_limit_per_user -----------------------------------------------------------------


async def test_named_servers_are_not_allowed_by_default(connect: Connect) -> None:
    async with connect() as launcher:
        assert launcher.allow_named_servers is False


async def test_the_environment_may_allow_named_servers(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERHUB_ALLOW_NAMED_SERVERS", "true")
    async with connect() as launcher:
        assert launcher.allow_named_servers is True


async def test_with_authentication_named_servers_get_unique_names(hub: PlacedHub, connect: Connect, name: str) -> None:
    """BinderHub's names are those of users, and JupyterHub 6 refuses many of them for servers. Here it accepts all."""
    await hub.create_user(name)
    repos = [REPO, f"https://github.com/{'a' * 40}/9_x.y", "https://doi.org/10.5281/zenodo.3242074"]
    async with connect(create_user=False, allow_named_servers=True) as launcher:
        server_names = [launcher.unique_name_from_repo(repo) for repo in [*repos, REPO]]
        servers = [await launcher.launch(IMAGE, name, server_name, REPO) for server_name in server_names]

    assert len(set(server_names)) == len(server_names)
    assert [server["url"] for server in servers] == [f"{hub.url}user/{name}/{each}/" for each in server_names]


async def test_the_number_of_named_servers_has_no_limit_by_default(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect() as launcher:
        assert launcher.named_server_limit_per_user == 0

    monkeypatch.setenv("JUPYTERHUB_NAMED_SERVER_LIMIT_PER_USER", "3")
    async with connect() as launcher:
        assert launcher.named_server_limit_per_user == 3


async def test_a_user_creates_at_most_the_limit_of_named_servers(hub: PlacedHub, connect: Connect, name: str) -> None:
    await hub.create_user(name)
    limited = connect(create_user=False, allow_named_servers=True, named_server_limit_per_user=1)
    async with limited as launcher:
        await launcher.launch(IMAGE, name, "first")
        with pytest.raises(REFUSALS, match="already has 1 named server") as refusal:
            await launcher.launch(IMAGE, name, "second")

    assert getattr(refusal.value, "status_code", 409) == 409
    assert set((await hub.user(name))["servers"]) == {"first"}


# --- create_user, hub_api_token, hub_url, hub_url_local ---------------------------------------------------------------


async def test_create_user_creates_a_new_hub_user_by_default(hub: PlacedHub, connect: Connect, name: str) -> None:
    async with connect() as launcher:
        assert launcher.create_user is True
        await launcher.launch(IMAGE, name)
        with pytest.raises(REFUSALS):  # a new one, and nobody else's
            await launcher.launch(IMAGE, name)

    assert await hub.users() == [name]


async def test_without_create_user_the_hub_user_exists_already(hub: PlacedHub, connect: Connect, name: str) -> None:
    async with connect(create_user=False) as launcher:
        with pytest.raises(REFUSALS, match="no such user"):
            await launcher.launch(IMAGE, name)
        assert await hub.users() == []

        await hub.create_user(name)
        assert (await launcher.launch(IMAGE, name))["url"] == f"{hub.url}user/{name}/"


async def test_hub_api_token_is_the_token_for_the_hub(
    hub: PlacedHub, connect: Connect, address: dict[str, Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page has no default. BinderHub's application takes JUPYTERHUB_API_TOKEN, and so does the class here."""
    del address["hub_api_token"]
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", hub.token)
    async with connect() as launcher:
        assert (await launcher.launch(IMAGE, name))["url"]

    async with connect(hub_api_token="not the token") as launcher:
        with pytest.raises(REFUSALS, match="Missing or invalid credentials"):
            await launcher.launch(IMAGE, name)


async def test_hub_url_is_the_url_of_the_hub(hub: PlacedHub, connect: Connect, name: str) -> None:
    async with connect() as launcher:
        server = await launcher.launch(IMAGE, name)

        assert launcher.hub_url == hub.url
        assert server["url"] == f"{hub.url}user/{name}/"


async def test_hub_url_local_is_hub_url_by_default(
    hub: PlacedHub, connect: Connect, address: dict[str, Any], name: str
) -> None:
    del address["hub_url_local"]
    async with connect() as launcher:
        server = await launcher.launch(IMAGE, name)

        assert launcher.hub_url_local == hub.url
        assert server["url"] == f"{hub.url}user/{name}/"


async def test_hub_url_local_is_the_internal_url_of_the_hub_if_different(
    hub: PlacedHub, connect: Connect, address: dict[str, Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In BinderHub's code JUPYTERHUB_API_URL takes precedence over the trait. The code holds, because BinderHub's chart
    sets it.

    `hublaunch.Launcher` gives way to the argument instead, as all of its settings do.
    """
    async with Relay(hub.local_url) as relay, connect(hub_url_local=f"{relay.url}/") as launcher:
        server = await launcher.launch(IMAGE, name)

        assert relay.connections > 0
        assert server["url"] == f"{hub.url}user/{name}/"

    del address["hub_url_local"]
    async with Relay(hub.local_url) as relay:
        monkeypatch.setenv("JUPYTERHUB_API_URL", f"{relay.url}/hub/api")
        async with connect() as launcher:
            await launcher.get_user_data(name)

        assert relay.connections == 1


# --- launch_timeout ---------------------------------------------------------------------------------------------------


async def test_a_server_that_is_not_ready_within_launch_timeout_raises_timeout_error(
    hub: PlacedHub, connect: Connect, name: str
) -> None:
    """BinderHub's code raises an HTTPError with status 500. Both hold: the error is both, so no `except` misses it."""
    async with connect() as launcher:
        assert launcher.launch_timeout == 600

    async with connect(launch_timeout=1) as launcher:
        with pytest.raises((TimeoutError, SpawnTimedOut), match="within 1 seconds") as timeout:
            await launcher.launch(GATED_IMAGE, name)

    assert isinstance(timeout.value, SpawnTimedOut) or (
        isinstance(timeout.value, HTTPError) and timeout.value.status_code == 500
    )
    assert await hub.users() == []


# --- pre_launch_hook --------------------------------------------------------------------------------------------------


async def test_the_hook_is_optional(connect: Connect, name: str) -> None:
    async with connect(pre_launch_hook=None) as launcher:
        assert (await launcher.launch(IMAGE, name))["url"]


async def test_the_hook_receives_launcher_image_username_server_name_and_repo_url(
    hub: PlacedHub, connect: Connect, name: str
) -> None:
    received: list[Any] = []
    await hub.create_user(name)

    def hook(*arguments: Any) -> None:
        received.append(arguments)

    async with connect(create_user=False, allow_named_servers=True, pre_launch_hook=hook) as launcher:
        await launcher.launch(IMAGE, name, "one", REPO)

        assert received == [(launcher, IMAGE, name, "one", REPO)]


async def test_the_hook_may_be_a_coroutine_function(connect: Connect, name: str) -> None:
    awaited = asyncio.Event()

    async def hook(*_arguments: Any) -> None:
        await asyncio.sleep(0)
        awaited.set()

    async with connect(pre_launch_hook=hook) as launcher:
        await launcher.launch(IMAGE, name)

    assert awaited.is_set()


async def test_a_check_of_the_hook_keeps_the_server_from_starting(hub: PlacedHub, connect: Connect, name: str) -> None:
    """BinderHub's code creates the user before it calls the hook, and leaves it there. Here no user is created."""

    async def hook(*_arguments: Any) -> None:
        raise HTTPError(451, "not %s", "today")

    async with connect(pre_launch_hook=hook) as launcher:
        with pytest.raises(REFUSALS, match="not today") as refusal:
            await launcher.launch(IMAGE, name)

    assert getattr(refusal.value, "status_code", None) == 451
    assert await hub.users() == []


# --- retries, retry_delay ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("given", "attempts"), [({}, 4), ({"retries": 2}, 2)])
async def test_retries_is_the_number_of_attempts_on_requests_to_the_hub(
    hub: PlacedHub, connect: Connect, given: dict[str, int], attempts: int
) -> None:
    async with Relay(hub.local_url) as relay, connect(hub_url_local=f"{relay.url}/", **given) as launcher:
        relay.close()
        with pytest.raises(FAILURES):
            await launcher.get_user_data("nobody")

        assert relay.connections == attempts


async def test_retries_add_resilience_to_intermittent_failures_of_the_hub(
    hub: PlacedHub, connect: Connect, name: str
) -> None:
    async with Relay(hub.local_url) as relay, connect(hub_url_local=f"{relay.url}/") as launcher:
        relay.answers_to_lose = 1  # that of the request that creates the user
        server = await launcher.launch(IMAGE, name)

    assert server["url"] == f"{hub.url}user/{name}/"
    assert await hub.users() == [name]


async def test_retry_delay_is_the_time_in_seconds_between_retries(
    hub: PlacedHub, connect: Connect, address: dict[str, Any]
) -> None:
    """The page's series begins with 2 s. BinderHub's code begins with `retry_delay`, 4 s by default. The code holds."""
    assert DropIn().retry_delay == Settings(**address).retry_delay == 4

    assert await seconds_to_fail(hub, connect, retries=2) >= SHORTEST_OF_A_SECOND


async def test_retry_delay_grows_exponentially_with_each_retry(hub: PlacedHub, connect: Connect) -> None:
    assert await seconds_to_fail(hub, connect, retries=3) >= SHORTEST_OF_A_SECOND * (1 + 2)


async def seconds_to_fail(hub: PlacedHub, connect: Connect, *, retries: int) -> float:
    """Return how long a request takes to fail with a `retry_delay` of 1 s, while no connection reaches the Hub."""
    async with (
        Relay(hub.local_url) as relay,
        connect(hub_url_local=f"{relay.url}/", retries=retries, retry_delay=1) as launcher,
    ):
        relay.close()
        began_at = time.monotonic()
        with pytest.raises(FAILURES):
            await launcher.get_user_data("nobody")
        return time.monotonic() - began_at
