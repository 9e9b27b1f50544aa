"""The queue as callers see it."""

import asyncio
import json
from collections.abc import AsyncGenerator
from ipaddress import ip_network
from typing import Any

import pytest

from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.served import BODY, Service, serve


@pytest.fixture
async def small_queue(settings: Settings, hub: FakeHub) -> AsyncGenerator[Service]:
    """A service with one launch at a time and two places in the queue."""
    hub.spawn_plan(None, SpawnPlan(never=True))
    async with serve(settings, max_concurrent_spawns=1, max_queue=2) as service:
        yield service


async def positions(service: Service, accepted: dict[str, Any]) -> AsyncGenerator[dict[str, Any]]:
    """Return each position in the queue that the stream reports until it ends."""
    async with service.http.stream("GET", accepted["events_url"]) as stream:
        named = ""
        async for line in stream.aiter_lines():
            if line.startswith("event: "):
                named = line[7:]
            elif line.startswith("data: ") and named == "position":
                yield json.loads(line[6:])
            elif not line:
                named = ""


async def test_a_follower_sees_the_position_fall_to_0(small_queue: Service, hub: FakeHub) -> None:
    accepted = [await small_queue.launch() for _ in range(3)]
    await hub.until(lambda: hub.active_servers)
    first, _, last = accepted

    async with asyncio.timeout(15):
        told = positions(small_queue, last)
        assert await anext(told) == {"position": 2, "queue_size": 2, "eta_s": None, "eta_basis": None}
        hub.release(next(iter(hub.users)))
        assert (await anext(told))["position"] == 1
        await hub.until(lambda: hub.count("spawn_started") == 2)
        hub.release(next(user for user in hub.users if hub.is_spawning(user)))
        assert await anext(told) == {"position": 0, "queue_size": 1, "eta_s": 0, "eta_basis": None}
        await told.aclose()
    assert (await small_queue.events(first["events_url"]))[-1]["phase"] == "ready"


async def test_queued_launches_are_waiting_and_a_full_queue_answers_503(small_queue: Service, hub: FakeHub) -> None:
    for _ in range(3):
        queued = await small_queue.launch()
        await hub.until(lambda: hub.active_servers)

    shown = (await small_queue.http.get(f"/launch/{queued['id']}")).json()
    answer = await small_queue.http.post("/launch", json=BODY)

    assert (shown["status"], shown["durations"]["waiting_s"]) == ("waiting", None)
    assert (answer.status_code, answer.json()["code"]) == (503, "queue_full")
    assert int(answer.headers["Retry-After"]) > 0


def of(address: str) -> dict[str, str]:
    return {"X-Forwarded-For": address}


async def test_a_full_queue_makes_room_for_a_new_address(settings: Settings, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    small_queue = {"max_concurrent_spawns": 1, "max_queue": 3, "trusted_proxies": (ip_network("127.0.0.1"),)}
    small_queue["metrics_public"] = True
    async with serve(settings.model_copy(update=small_queue)) as service, asyncio.timeout(20):
        first = [await service.http.post("/launch", json=BODY, headers=of("192.0.2.1")) for _ in range(6)]
        newest = first[3].json()
        following = asyncio.create_task(service.events(newest["events_url"]))
        await hub.until(lambda: hub.active_servers)

        second = await service.http.post("/launch", json=BODY, headers=of("192.0.2.2"))
        told = (await following)[-1]
        shown = (await service.http.get(f"/launch/{newest['id']}")).json()
        metrics = (await service.http.get("/metrics")).text

    assert [answer.status_code for answer in first] == [202, 202, 202, 202, 503, 503]
    assert second.status_code == 202
    assert (told["phase"], told["problem"]["code"]) == ("failed", "displaced")
    assert "made room for a caller with fewer" in told["problem"]["detail"]
    assert shown["status"] == "failed"
    assert hub.count("user_created") == 1
    assert 'hublaunch_launches_ended_total{cause="",outcome="displaced"} 1.0' in metrics
    assert 'cause="displaced"' not in metrics
    assert 'hublaunch_launch_duration_seconds_count{outcome="failed"} 0.0' in metrics


async def test_only_addresses_have_a_quota_by_default(settings: Settings, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    assert settings.anonymous_quota == 500
    async with serve(settings, anonymous_quota=2) as service:
        answers = [await service.http.post("/launch", json=BODY) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert answers[2].json()["limit"] == {"scope": "caller", "together": False, "most": 2, "active": 2}


async def test_a_rule_of_the_limits_file_overrides_the_default_quota(
    settings: Settings, hub: FakeHub, tmp_path_factory: pytest.TempPathFactory
) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    file = tmp_path_factory.mktemp("limits") / "limits.yaml"
    file.write_text('callers: [{match: "anonymous:127.*", most: 3}]')
    async with serve(settings, anonymous_quota=2, limits_file=file) as service:
        answers = [await service.http.post("/launch", json=BODY) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
