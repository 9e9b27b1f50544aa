"""Quotas and reuse beside a real JupyterHub, as a backend and an operator use them."""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from hublaunch.demo.proxy import proxy_command, proxy_directory
from hublaunch.files.keys import add_key
from tests.hubs.mortal import MortalHub
from tests.support.processes import Replica, events, replica
from tests.support.served import BODY, read_events

pytestmark = [pytest.mark.real_hub, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]

REUSE = BODY | {"if_running": "reuse"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[MortalHub]:
    state = tmp_path_factory.mktemp("hub")
    command = await asyncio.to_thread(proxy_command, proxy_directory(state))
    async with MortalHub(state=state, proxy_command=command) as hub:
        yield hub


@pytest.fixture
def limits(tmp_path: Path) -> Path:
    path = tmp_path / "limits.yaml"
    write(path, most=2)
    return path


def write(path: Path, *, most: int) -> None:
    path.write_text(json.dumps({"repositories": [{"match": "github.com/org/*", "most": most}]}))


@pytest_asyncio.fixture(loop_scope="module")
async def service(hub: MortalHub, limits: Path, tmp_path: Path) -> AsyncGenerator[Replica]:
    keys = tmp_path / "keys.json"
    _, key = add_key(keys, name="course")
    variables = {
        "LAUNCHER_HUB_URL_LOCAL": hub.local_url,
        "LAUNCHER_ACCESS": "key",
        "LAUNCHER_API_KEYS_FILE": str(keys),
        "LAUNCHER_LIMITS_FILE": str(limits),
        "LAUNCHER_RATE_LIMIT_STORE": "off",
    }
    async with replica(hub, f"sqlite:///{tmp_path}/hublaunch.sqlite", **variables) as service:
        service.http.headers["Authorization"] = f"Bearer {key}"
        yield service


async def ready(service: Replica) -> dict[str, Any]:
    answer = await service.http.post("/launch", json=BODY)
    assert answer.status_code == 202, answer.text
    accepted: dict[str, Any] = answer.json()
    assert (await events(service, accepted))[-1]["phase"] == "ready"
    return accepted


async def test_a_quota_holds_is_freed_by_a_stopped_server_and_changes_while_the_service_runs(
    hub: MortalHub, service: Replica, limits: Path
) -> None:
    first, second = await ready(service), await ready(service)
    refused = await service.http.post("/launch", json=BODY)

    given = await service.http.post("/launch", json=REUSE)
    async with httpx.AsyncClient(trust_env=False, follow_redirects=True) as browser:
        opened = await browser.get(given.json()["open_url"])
    async with service.http.stream("POST", "/launch", json=REUSE, headers={"Accept": "text/event-stream"}) as stream:
        told = [event async for event in read_events(stream)]

    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "60")
    assert refused.json()["limit"] == {"scope": "repository", "together": False, "most": 2, "active": 2}
    assert (given.status_code, given.json()["id"], opened.status_code) == (200, second["id"], 200)
    assert (told[-1]["launch_id"], told[-1]["phase"]) == (second["id"], "ready")

    await stop_server(hub, second, service)
    given = await service.http.post("/launch", json=REUSE)
    assert (given.status_code, given.json()["id"]) == (200, first["id"]), "the Hub has no server for the other launch"
    third = await ready(service)

    write(limits, most=3)
    async with asyncio.timeout(30):
        while (answer := await service.http.post("/launch", json=BODY)).status_code == 429:
            pass
    refused = await service.http.post("/launch", json=BODY | {"if_running": "refuse"})

    assert answer.status_code == 202
    assert (refused.status_code, refused.json()["launch_id"]) == (409, third["id"])


async def stop_server(hub: MortalHub, accepted: dict[str, Any], service: Replica) -> None:
    """Stop the server at the Hub, as its user or the culler does, and return once it is gone."""
    username = (await service.http.get(f"/launch/{accepted['id']}")).json()["username"]
    async with httpx.AsyncClient(
        base_url=f"{hub.local_url}hub/api/", headers={"Authorization": f"token {hub.api_token}"}, trust_env=False
    ) as api:
        while (await api.delete(f"users/{username}/server")).status_code != 204:
            pass
