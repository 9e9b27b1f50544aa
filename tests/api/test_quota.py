"""Quotas of API keys."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest

from hublaunch.files.keys import add_key
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.served import BODY, Service, serve

MOST = 3


@pytest.fixture
async def service(settings: Settings, tmp_path: Path) -> AsyncGenerator[Service]:
    path = tmp_path / "keys.json"
    _, key = add_key(path, name="ci", max_active=MOST)
    async with serve(settings.model_copy(update={"access": ("key",), "api_keys_file": path})) as service:
        service.http.headers["Authorization"] = f"Bearer {key}"
        yield service


async def post(service: Service) -> httpx.Response:
    return await service.http.post("/launch", json=BODY)


async def test_a_launch_whose_server_is_gone_frees_the_quota(service: Service, hub: FakeHub) -> None:
    launches = [(await post(service)).json() for _ in range(MOST)]
    for launch in launches:
        await service.events(launch["events_url"])
    full = await post(service)
    username = (await service.http.get(f"/launch/{launches[1]['id']}")).json()["username"]
    await hub.stop_server(username, "", remove=False)

    after = await post(service)

    assert (full.status_code, after.status_code) == (429, 202)
    stopped = (await service.http.get(f"/launch/{launches[1]['id']}")).json()
    assert (stopped["status"], stopped["stopped_by"]) == ("stopped", "hub")


async def test_each_key_has_its_own_quota_or_none(settings: Settings, hub: FakeHub, tmp_path: Path) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    path = tmp_path / "keys.json"
    keys = {name: add_key(path, name=name, max_active=most)[1] for name, most in (("a", 1), ("b", 2), ("c", None))}
    async with serve(settings.model_copy(update={"access": ("key",), "api_keys_file": path})) as service:

        async def accepted(key: str) -> int:
            headers = {"Authorization": f"Bearer {key}"}
            answers = await asyncio.gather(
                *(service.http.post("/launch", json=BODY, headers=headers) for _ in range(5))
            )
            return [answer.status_code for answer in answers].count(202)

        counts = dict(zip(keys, await asyncio.gather(*map(accepted, keys.values())), strict=True))

    assert counts == {"a": 1, "b": 2, "c": 5}
