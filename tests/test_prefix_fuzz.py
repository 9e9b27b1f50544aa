"""Random names, images and URLs never cause a request to the Hub for another user or server."""

import asyncio
import re
import string
import tempfile
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, unquote

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from hublaunch.files.keys import add_key
from hublaunch.launch.errors import LaunchError
from hublaunch.launcher import Launcher
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub
from tests.fakes.hub_model import Refusal
from tests.support.served import IMAGE, serve

SNEAKY = st.sampled_from(
    ["..", ".", "/", "//", "%2f", "%2e%2e", "\\", "?", "#", "@", ":", ";", "~", "a/../b", "root", "é", "\n", "\0", " "]
)
NAMES = st.one_of(
    st.lists(st.one_of(SNEAKY, st.text(max_size=8)), min_size=1, max_size=4).map("".join),
    st.text(string.printable, min_size=1, max_size=40),
)


def mostly(value: str) -> st.SearchStrategy[str]:
    return st.integers(0, 5).flatmap(lambda chance: NAMES if chance == 0 else st.just(value))


REQUESTS = st.fixed_dictionaries(
    {
        "image": mostly(IMAGE),
        "repo_url": mostly("https://example.org/a/b"),
        "username": NAMES,
        "server_name": mostly(""),
    }
)
_OWN = re.compile(r"/hub/api/(?:user|users/([^/?]+)(?:/(?:server|servers/([^/?]*)|tokens)(?:/[^/?]+)?)?)?(?:\?.*)?")
_REACH = re.compile(r"/user/([^/?]+)(?:/([^/?]+))?/api")


def strays(hub: FakeHub, username: str | None, server_name: str | None) -> list[str]:
    """Return the raw paths that name another user or server, or that no launch uses."""
    found = []
    for request in (request for request in hub.requests if request.operation != "show_page"):
        match = _OWN.fullmatch(request.raw_path) or _REACH.fullmatch(request.raw_path)
        if match is None:
            found.append(request.raw_path)
            continue
        user, server = (unquote(part) if part else None for part in (match[1], match[2] if match.re.groups > 1 else ""))
        if user is not None and username is not None and user != username:
            found.append(request.raw_path)
        if server and server_name is not None and server != server_name:
            found.append(request.raw_path)
        if user is not None and quote(user, safe="@~") != match[1]:
            found.append(request.raw_path)
    return found


@settings(max_examples=150, deadline=None, derandomize=True)
@given(username=NAMES, server_name=st.one_of(st.just(""), NAMES))
def test_the_library_requests_only_the_named_user_and_server(username: str, server_name: str) -> None:
    async def launch() -> list[str]:
        async with FakeHub() as hub:
            hub.slow_spawn_timeout = 0
            async with (
                Launcher.connect(
                    hub_url=hub.url, hub_api_token=hub.api_token, retry_delay=0, retries=1, launch_timeout=0.3
                ) as launcher,
                asyncio.timeout(10),
            ):
                with suppress(LaunchError):  # the Hub or hublaunch may refuse the name
                    await launcher.launch(IMAGE, username, server_name)
            return strays(hub, username, server_name)

    assert asyncio.run(launch()) == []


@settings(max_examples=15, deadline=None, derandomize=True, phases=[Phase.generate])
@given(requests=st.lists(REQUESTS, min_size=12, max_size=12))
def test_over_http_no_request_affects_another_user(requests: list[dict[str, str]]) -> None:
    async def launch() -> list[str]:
        found: list[str] = []
        async with FakeHub() as hub:
            hub.slow_spawn_timeout = 0
            with tempfile.TemporaryDirectory() as directory:
                keys = Path(directory, "keys.json")
                _, key = add_key(keys, name="ci", may_name_user=True)
                async with serve(_settings(hub, directory, keys)) as service:
                    for body in requests:
                        username = body["username"]
                        with suppress(Refusal):
                            hub.create_user(username)
                        hub.requests.clear()
                        answer = await service.http.post("/launch", json=body, headers=_bearer(key))
                        if answer.status_code == 202:
                            await service.events(answer.json()["events_url"])
                        found += strays(hub, username or None, body["server_name"] or None)
        return found

    assert asyncio.run(launch()) == []


def _settings(hub: FakeHub, directory: str, keys: Path) -> Settings:
    return Settings(
        hub_url=hub.url,
        hub_api_token=hub.api_token,
        access=("key",),
        api_keys_file=keys,
        allow_named_servers=True,
        allowed_images=("*",),
        retry_delay=0,
        retries=1,
        launch_timeout=0.3,
        database_url=f"sqlite:///{directory}/hublaunch.sqlite",
    )


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}
