"""Requests to the Hub are always about the correct user and server: each name is one part of a path."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hublaunch.hub.client import HubClient
from hublaunch.hub.connect import connect_hub
from hublaunch.launch.errors import HubError
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub

Ask = Callable[[HubClient, str, str], Awaitable[object]]

SNEAKY = st.sampled_from(
    [
        *"./\\%?#&=@:;~+",
        *("..", "//", "%2f", "%2F", "%2e%2e", "%252e"),
        *("server", "servers", "progress", "tokens", "api", "users", "a/../b", "\u00e9", "\u2024", "\uff0f", "\u202e"),
        *(" ", "\t", "\n", "\r\n", "\0", "\x7f"),
    ]
)
NAMES = st.lists(st.one_of(SNEAKY, st.text(max_size=5)), min_size=1, max_size=4).map("".join)
SERVER_NAMES = st.one_of(st.just(""), NAMES)


async def _read(client: HubClient, username: str, server_name: str) -> None:
    async with aclosing(client.progress(username, server_name)) as events:
        async for _ in events:
            pass


def _root(client: HubClient, username: str, server_name: str) -> str:
    """Return a server's URL as the Hub would give it."""
    names = [username, server_name] if server_name else [username]
    return client._url_of(f"/user/{'/'.join(quote(name, safe='@~') for name in names)}/")


CALLS: Sequence[Ask] = (
    lambda hub, user, _: hub.create_user(user),
    lambda hub, user, _: hub.get_user(user, include_stopped_servers=True),
    lambda hub, user, server: hub.start_server(user, server, {}),
    _read,
    lambda hub, user, server: hub.reach_server(user, server, _root(hub, user, server)),
    lambda hub, user, _: hub.mint_token(user, scope=f"access:servers!user={user}", note="n", expires_in_s=9),
    lambda hub, user, _: hub.revoke_tokens(user, note="n"),
    lambda hub, user, server: hub.stop_server(user, server, remove=True),
    lambda hub, user, _: hub.delete_user(user),
)


def allowed_paths(username: str, server_name: str) -> set[tuple[str, ...]]:
    """Return the raw paths, in parts, of all requests allowed for this user and server."""
    if not username:
        return set()
    user, server = (quote(name, safe="@~") for name in (username, server_name))
    of_server = ("servers", server) if server_name else ("server",)
    below_user = {(), ("tokens",), of_server, (*of_server, "progress")}
    itself = ("user", user, server, "api") if server_name else ("user", user, "api")
    return {("hub", "api", "users", user, *path) for path in below_user} | {itself}


def parts(raw_path: str) -> tuple[str, ...]:
    """Split a raw path, and drop the id of a revoked token, which the Hub chooses."""
    path, _, query = raw_path.partition("?")
    assert query in ("", "include_stopped_servers=1")
    _, *found = path.split("/")
    return tuple(found[:-1] if len(found) > 2 and found[-2] == "tokens" else found)


@settings(max_examples=60, derandomize=True)
@given(username=NAMES, server_name=SERVER_NAMES)
@example("..", "")
@example(".", "")
@example("a", "..")
@example("%2e%2e", "%2e%2e")
def test_each_name_is_one_part_of_the_path_or_nothing_is_sent(username: str, server_name: str) -> None:
    async def ask() -> list[str]:
        async with FakeHub(version="4.1.6") as hub:  # the version that accepts the most names
            hub.slow_spawn_timeout = 0
            given = Settings(hub_url=hub.url, hub_api_token=hub.api_token, retries=1, retry_delay=0)
            async with connect_hub(given) as client, asyncio.timeout(10):
                for call in CALLS:
                    with suppress(HubError, ValueError):
                        await call(client, username, server_name)
            return [request.raw_path for request in hub.requests]

    asked = asyncio.run(ask())

    assert {parts(path) for path in asked} <= allowed_paths(username, server_name)
    assert not {".", ".."} & {part for path in asked for part in path.split("/")}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(("username", "server_name"), [("", ""), ("", "a"), (".", ""), ("..", ""), ("\ud800", "")])
async def test_nothing_is_sent_for_a_user_who_cannot_exist(
    client: HubClient, hub: FakeHub, call: Ask, username: str, server_name: str
) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - quoting and encoding have their own words for it
        await call(client, username, server_name)

    assert hub.requests == []
