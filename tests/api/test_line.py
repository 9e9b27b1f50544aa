"""The line as its callers see it."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from app.settings import Settings
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.served import BODY, Service, serve


@pytest.fixture
async def narrow(settings: Settings, hub: FakeHub) -> AsyncGenerator[Service]:
    """One launch at a time, and two that may wait."""
    hub.spawn_plan(None, SpawnPlan(never=True))
    async with serve(settings.model_copy(update={"max_concurrent_spawns": 1, "max_queue": 2})) as service:
        yield service


async def positions(service: Service, accepted: dict[str, Any]) -> AsyncGenerator[dict[str, Any]]:
    """Each place in line that the stream tells of, until it ends."""
    async with service.http.stream("GET", accepted["events_url"]) as stream:
        named = ""
        async for line in stream.aiter_lines():
            if line.startswith("event: "):
                named = line[7:]
            elif line.startswith("data: ") and named == "position":
                yield json.loads(line[6:])
            elif not line:
                named = ""


async def test_a_watcher_sees_the_place_in_line_fall_to_0(narrow: Service, hub: FakeHub) -> None:
    accepted = [await narrow.launch() for _ in range(3)]
    await hub.until(lambda: hub.active_servers)
    first, _, last = accepted

    async with asyncio.timeout(15):
        told = positions(narrow, last)
        assert await anext(told) == {"position": 2, "queue_size": 2, "eta_s": None, "eta_basis": None}
        hub.release(next(iter(hub.users)))
        assert (await anext(told))["position"] == 1
        await hub.until(lambda: hub.count("spawn_started") == 2)
        hub.release(next(user for user in hub.users if hub.is_spawning(user)))
        assert await anext(told) == {"position": 0, "queue_size": 1, "eta_s": 0, "eta_basis": None}
        await told.aclose()
    assert (await narrow.events(first["events_url"]))[-1]["phase"] == "ready"


async def test_a_full_line_is_said_to_be_so_with_a_time_to_come_back(narrow: Service, hub: FakeHub) -> None:
    for _ in range(3):
        await narrow.launch()
        await hub.until(lambda: hub.active_servers)

    answer = await narrow.http.post("/launch", json=BODY)

    assert (answer.status_code, answer.json()["code"]) == (503, "line_full")
    assert int(answer.headers["Retry-After"]) > 0


async def test_a_launch_in_line_is_waiting_and_says_so(narrow: Service, hub: FakeHub) -> None:
    await narrow.launch()
    await hub.until(lambda: hub.active_servers)
    accepted = await narrow.launch()

    shown = (await narrow.http.get(f"/launch/{accepted['id']}")).json()

    assert (shown["status"], shown["durations"]["waiting_s"]) == ("waiting", None)
