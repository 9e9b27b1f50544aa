"""`GET /status`: load and capacity."""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from hublaunch.api.pace import WebPace
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.served import Service, serve
from tests.support.sqlite import execute


@pytest.fixture
async def service(settings: Settings) -> AsyncGenerator[Service]:
    async with serve(settings, web_pace=WebPace(status_kept_s=0)) as service:
        yield service


async def status(service: Service) -> dict[str, Any]:
    answer = await service.http.get("/status")
    assert answer.status_code == 200
    told: dict[str, Any] = answer.json()
    return told


async def status_when(service: Service, light: str) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while True:
            told = await status(service)
            if told["status"] == light:
                return told


async def test_an_idle_service_is_green_and_counts_its_ready_servers(service: Service, hub: FakeHub) -> None:
    told = await status_when(service, "green")

    assert told["hub"].pop("latency_ms") > 0
    assert told == {
        "status": "green",
        "reasons": [],
        "conditions": [],
        "hub": {"version": hub.version, "busy_for_s": None},
        "launching": 0,
        "waiting": 0,
        "ready": 0,
        "limits": {"max_concurrent_spawns": 50, "max_queue": 1000},
        "guard": {
            "mode": "normal",
            "state": "open",
            "failures": 0,
            "failure_limit": 4,
            "window": 4,
            "failing_images": 0,
        },
        "pools": [],
    }
    accepted = await service.launch()
    await service.events(accepted["events_url"])
    told = await status_when(service, "green")
    assert (told["launching"], told["ready"]) == (0, 1)


async def test_a_service_with_waiting_launches_is_yellow(service: Service, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    for _ in range(3):
        await service.launch()
    await hub.until(lambda: len(hub.active_servers) == 2)

    told = await status_when(service, "yellow")

    assert (told["launching"], told["waiting"]) == (2, 1)
    assert told["reasons"] == ["Launches are waiting in the queue."]


async def test_a_service_whose_hub_does_not_answer_is_red(hub: FakeHub, settings: Settings) -> None:
    hub.fail_on("get_version", how="reset", times=99)
    async with serve(settings) as service:
        told = await status(service)

    assert (told["status"], told["reasons"]) == ("red", ["JupyterHub is not available."])
    assert told["hub"]["latency_ms"] is None


async def test_a_service_that_restricts_launches_is_yellow_and_names_no_images(service: Service, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(fails="the volume is gone"))
    for n in range(4):
        accepted = await service.launch(image=f"example.org/secret-{n}")
        if n < 3:
            await service.events(accepted["events_url"])

    told = await status(service)

    assert (told["guard"]["state"], told["guard"]["failures"]) == ("proven_only", 3)
    assert told["status"] == "yellow"
    assert "secret" not in str(told)


async def test_the_status_is_reused_for_a_while(settings: Settings) -> None:
    async with serve(settings, web_pace=WebPace(status_kept_s=60)) as service:
        before = await status(service)
        accepted = await service.launch()
        await service.events(accepted["events_url"])

        answers = await asyncio.gather(*[status(service) for _ in range(20)])

    assert all(answer == before for answer in answers)


async def test_a_service_that_cannot_read_its_database_is_red(service: Service, settings: Settings) -> None:
    await status_when(service, "green")
    execute(settings.database_url, "ALTER TABLE spawn_failures RENAME TO moved")

    told = await status_when(service, "red")

    assert told["reasons"] == ["The database cannot be read or written."]
    assert "guard" not in told


async def test_warm_pools_are_shown_except_those_of_groups(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "catalogue.yaml"
    warm = {"title": "A", "warm": {"keep": 1}}
    environments = {
        "scipy": {**warm, "image": "quay.io/org/scipy:1"},
        "secret": {**warm, "image": "quay.io/org/secret:1", "groups": ["staff"]},
    }
    path.write_text(json.dumps({"environments": environments}))
    changes = {"catalogue_file": path}
    async with serve(settings.model_copy(update=changes), web_pace=WebPace(status_kept_s=0)) as service:
        async with asyncio.timeout(10):
            while not (await status(service))["pools"][0]["ready"]:
                pass
        accepted = (await service.http.post("/launch", json={"environment": "scipy"})).json()
        await service.events(accepted["events_url"])

        [pool] = (await status(service))["pools"]

    assert (pool["pool"], pool["wanted"], pool["hits"], pool["misses"]) == ("scipy", 1, 1, {})
    assert pool["ready"] + pool["starting"] <= 1
    assert pool["waits_for"] is None
