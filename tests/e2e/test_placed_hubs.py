"""Launches on real Hubs with `subdomain_host`, or with a percent-encoded `base_url`."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from hublaunch.demo.proxy import proxy_command, proxy_directory
from hublaunch.settings import Settings
from tests.hubs.placed import DOMAIN, PlacedHub
from tests.hubs.quick_server import GATED_IMAGE
from tests.support.served import Service, serve

pytestmark = [pytest.mark.real_hub, pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="module")]

PLACES: Mapping[str, dict[str, Any]] = {"subdomains": {"subdomains": True}, "base_url": {"base_url": "/a%20b/"}}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=PLACES)
async def hub(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[PlacedHub]:
    state, place = tmp_path_factory.mktemp("hub"), PLACES[request.param]
    proxy = await asyncio.to_thread(proxy_command, proxy_directory(state))
    async with PlacedHub(state=state, proxy_command=proxy, **place) as hub:
        yield hub


def settings_of(hub: PlacedHub, tmp_path: Path, **given: Any) -> Settings:
    return Settings(
        hub_url=hub.url,
        hub_url_local=hub.local_url,
        hub_api_token=hub.token,
        allowed_images=("*",),
        retry_delay=0,
        launch_timeout=20,
        database_url=f"sqlite:///{tmp_path}/hublaunch.sqlite",
        **given,
    )


async def username_of(hub: PlacedHub) -> str:
    """Return the name of the only user, once there is one."""
    while not (users := await hub.users()):  # noqa: ASYNC110 - the Hub tells nobody
        await asyncio.sleep(0.05)
    return users[0]


async def launched(service: Service, **body: object) -> tuple[dict[str, Any], dict[str, Any]]:
    """Launch, and return the accepted launch and its last event."""
    accepted = await service.launch(**body)
    events_url = httpx.URL(accepted["events_url"])
    return accepted, (await service.events(str(service.http.base_url.join(events_url))))[-1]


@pytest.fixture
def names_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolve every host of the Hub to this machine, as a wildcard record in DNS does."""
    look_up = socket.getaddrinfo

    def found(host: Any, *rest: Any, **more: Any) -> Any:
        return look_up("127.0.0.1" if str(host).endswith(DOMAIN) else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", found)


@pytest.mark.parametrize("by_proxy_url", [False, True], ids=["the public URL", "LAUNCHER_PROXY_URL"])
@pytest.mark.usefixtures("names_of_the_hub")
async def test_a_server_becomes_ready_opens_and_is_gone_after_a_cancellation(
    hub: PlacedHub, tmp_path: Path, by_proxy_url: bool
) -> None:
    given = {"proxy_url": hub.proxy_url} if by_proxy_url else {}
    async with serve(settings_of(hub, tmp_path, prefix="/a%20b/services/launcher", **given)) as service:
        accepted, ready = await launched(service)
        assert ready["phase"] == "ready", ready
        name = await username_of(hub)
        opened = await hub.get(ready["open_url"])
        await service.cancel(accepted)

    assert ready["url"] == hub.url_of(name)
    assert opened.status_code == 200
    assert await hub.users() == []


async def test_a_spawn_stopped_at_the_hub_never_becomes_ready(hub: PlacedHub, tmp_path: Path) -> None:
    async with serve(settings_of(hub, tmp_path, proxy_url=hub.proxy_url)) as service:
        launching = asyncio.create_task(launched(service, image=GATED_IMAGE))
        name = await username_of(hub)
        await hub.until_spawning(name)
        await hub.stop_server(name)
        _, last = await launching

    assert last["phase"] == "failed", last
    assert await hub.users() == []
