"""Random names and requests of Hub users affect only those users, and cause no traceback."""

import asyncio
import tempfile
from contextlib import suppress

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub
from tests.fakes.hub_model import Refusal
from tests.hub.test_paths import NAMES, allowed_paths, parts
from tests.support.served import IMAGE, REPO, Service, serve

pytestmark = pytest.mark.thorough

IMAGES = st.sampled_from([IMAGE, "a", "servers/api", "localhost:5000/users/x", "a/b@sha256:" + "0" * 64])
REPOS = st.sampled_from(
    ["", REPO, "https://example.org/../users/root", "git@example.org:../..", "ssh://example.org/%2e"]
)
SERVERS = st.sampled_from(["", "work", "api", "a-b", "server", "progress"])
BODIES = st.fixed_dictionaries(
    {"image": IMAGES},
    optional={"repo_url": REPOS | NAMES, "server_name": SERVERS | NAMES, "username": st.just("") | NAMES},
)


@settings(max_examples=8, derandomize=True, database=None, phases=[Phase.generate])
@given(names=st.lists(NAMES, min_size=12, max_size=12, unique=True), bodies=st.lists(BODIES, min_size=12, max_size=12))
def test_a_hub_users_launches_affect_only_that_user(names: list[str], bodies: list[dict[str, str]]) -> None:
    async def launch() -> None:
        with tempfile.TemporaryDirectory() as directory:
            async with FakeHub(version="4.1.6") as hub, serve(_settings(hub, directory)) as service:
                hub.slow_spawn_timeout = 0
                for name in {*names, "..", "."}:
                    with suppress(Refusal):  # the Hub has no such user
                        hub.create_user(name)
                for name, body in zip(names, bodies, strict=True):
                    if name in hub.users:
                        await _launch(service, hub, name, body)
                for name in (".", ".."):
                    await _launch(service, hub, name, {"image": IMAGE})

    asyncio.run(launch())


async def _launch(service: Service, hub: FakeHub, name: str, body: dict[str, str]) -> None:
    """Launch and cancel."""
    headers = {"Authorization": f"Bearer {hub.token_of(name)}"}
    hub.requests.clear()

    answer = await service.http.post("/launch", json=body, headers=headers)
    assert answer.status_code in (202, 403, 422), answer.text
    if answer.status_code == 202:
        async with asyncio.timeout(10):
            await service.events(answer.json()["events_url"])
            await service.cancel(answer.json())

    asked = [request for request in hub.requests if request.operation not in ("whoami", "get_version", "show_page")]
    if answer.status_code == 202:
        assert answer.json()["username"] == name
        assert {parts(request.raw_path) for request in asked} <= allowed_paths(name, answer.json()["server_name"])
        assert "stop_server" in {request.operation for request in asked}
    else:
        assert {parts(request.raw_path) for request in asked} <= allowed_paths(name, "")
    assert not {"create_user", "delete_user", "mint_token"} & {request.operation for request in asked}


def _settings(hub: FakeHub, directory: str) -> Settings:
    return Settings(
        hub_url=hub.url,
        hub_api_token=hub.api_token,
        access=("hub",),
        allow_named_servers=True,
        allowed_images=("*",),
        retry_delay=0,
        retries=1,
        database_url=f"sqlite:///{directory}/hublaunch.sqlite",
    )
