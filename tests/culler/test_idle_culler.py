"""Warm servers on a real JupyterHub whose jupyterhub-idle-culler stops servers after an idle minute."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from hublaunch.demo.proxy import proxy_command, proxy_directory
from tests.contract.contract_hub import REAL_PYTHON
from tests.hubs.mortal import MortalHub
from tests.support.processes import Replica, events, launch, replica

pytestmark = [pytest.mark.culler, pytest.mark.timeout(400), pytest.mark.asyncio(loop_scope="module")]

KEEP = 3
_CATALOGUE = """
environments:
  scipy: {title: SciPy, image: "example.org/warm:1", warm: {keep: %d}}
"""
_PREFIX = "example-org-warm-"
"""How the names of the pool's users begin: like its image."""
_POLL_S = 0.1


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[MortalHub]:
    state = tmp_path_factory.mktemp("hub")
    command = await asyncio.to_thread(proxy_command, proxy_directory(state))
    config = Path(__file__).parents[1] / "hubs" / "culled_config.py"
    async with MortalHub(state=state, proxy_command=command, config=config, python=REAL_PYTHON) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(hub: MortalHub, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Replica]:
    """Return a hublaunch that keeps three servers warm."""
    directory = tmp_path_factory.mktemp("service")
    catalogue = directory / "catalogue.yaml"
    catalogue.write_text(_CATALOGUE % KEEP)
    settings = {"LAUNCHER_HUB_URL_LOCAL": hub.local_url, "LAUNCHER_CATALOGUE_FILE": str(catalogue)}
    async with replica(hub, f"sqlite:///{directory}/hublaunch.sqlite", **settings) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def members(hub: MortalHub, service: Replica) -> set[str]:
    """Return the users of the pool's members once all of them are ready. The Hub and the service have to be polled."""
    async with asyncio.timeout(120):
        while True:
            pools = (await service.http.get("/status")).json()["pools"]
            users = {name for name in await hub.users() if name.startswith(_PREFIX)}
            if pools and pools[0]["ready"] == len(users) == KEEP:
                return users
            await asyncio.sleep(_POLL_S)


@asynccontextmanager
async def entered(service: Replica) -> AsyncGenerator[dict[str, Any]]:
    """Launch, enter the server as the visitor does, and yield the launch. It is cancelled on leaving."""
    accepted = await launch(service, {"environment": "scipy"})
    secret = {"X-Launch-Secret": accepted["secret"]}
    async with asyncio.timeout(60):
        last = (await events(service, accepted))[-1]
    assert last["phase"] == "ready", last
    async with httpx.AsyncClient(trust_env=False, timeout=10) as visitor:
        (await visitor.get(last["open_url"])).raise_for_status()
    yield (await service.http.get(f"/launch/{accepted['id']}", headers=secret)).raise_for_status().json()
    async with asyncio.timeout(60):
        while (await service.http.delete(f"/launch/{accepted['id']}", headers=secret)).status_code != 204:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)


async def users_with_a_server(hub: MortalHub) -> set[str]:
    return {name for name, servers in (await hub.users()).items() if servers}


async def until_gone(hub: MortalHub, username: str) -> None:
    """Return once the Hub no longer has the user. The Hub has to be polled."""
    async with asyncio.timeout(90):
        while username in await hub.users():  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)


async def start_and_await_the_culler(hub: MortalHub, username: str) -> None:
    """Start a server that nobody uses, and return once the culler has stopped it. The Hub has to be polled."""
    await hub.ask("POST", f"users/{username}")
    await hub.ask("POST", f"users/{username}/server", {"image": "example.org/idle:1"})
    await hub.until_ready(username)
    async with asyncio.timeout(90):
        while (await hub.users())[username]:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)


async def test_the_culler_stops_every_server_that_nobody_uses_but_no_warm_server(
    hub: MortalHub, members: set[str]
) -> None:
    for number in range(4):  # each lives for more than a minute
        await start_and_await_the_culler(hub, f"idle-{number}")

    assert await users_with_a_server(hub) == members


async def test_warm_servers_survive_a_restart_of_the_hub(hub: MortalHub, service: Replica, members: set[str]) -> None:
    await hub.kill()
    await hub.start_again()

    async with entered(service) as shown:
        assert (shown["warm"], shown["username"] in members) == (True, True)
        assert await users_with_a_server(hub) >= members


async def test_a_warm_server_whose_process_was_killed_is_replaced_by_the_next(
    hub: MortalHub, service: Replica, members: set[str]
) -> None:
    oldest = await oldest_of(hub, members)
    os.kill(hub.server_process(oldest), signal.SIGKILL)

    async with entered(service) as shown:
        assert (shown["warm"], shown["username"] in members - {oldest}) == (True, True)
    await until_gone(hub, oldest)


async def test_a_warm_server_that_is_stopping_is_given_to_nobody(
    hub: MortalHub, service: Replica, members: set[str]
) -> None:
    oldest = await oldest_of(hub, members)
    os.kill(hub.server_process(oldest), signal.SIGSTOP)  # so that the stop takes seconds
    stopping = asyncio.create_task(hub.ask("DELETE", f"users/{oldest}/server"))
    async with asyncio.timeout(10):
        while (await hub.users())[oldest][""]["pending"] != "stop":  # noqa: ASYNC110 - the Hub has to be polled
            await asyncio.sleep(_POLL_S)

    async with entered(service) as shown:
        assert not stopping.done()
        assert (shown["warm"], shown["username"] in members - {oldest}) == (True, True)
    await stopping
    await until_gone(hub, oldest)


async def oldest_of(hub: MortalHub, members: set[str]) -> str:
    """Return the member that the next launch takes."""
    users = await hub.users()
    return min(members, key=lambda name: users[name][""]["started"])
