"""When a launch is expected to be ready, as its caller and other readers see it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import pytest

from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.served import Service, serve
from tests.support.started import ready_before

PULLING = {
    "progress": 40,
    "message": "Pulling image",
    "raw_event": {"reason": "Pulling", "type": "Normal", "message": 'Pulling image "base"'},
}
NOTHING_EXPECTED = {"expected_ready_at": None, "expected_basis": None}


@asynccontextmanager
async def at_hub(service: Service, hub: FakeHub, *messages: object) -> AsyncGenerator[dict[str, Any]]:
    """A launch that is starting while this context is open, once its last message was seen."""
    hub.spawn_plan(None, SpawnPlan(messages=messages or ("Starting",), seconds=0.1, never=True))  # type: ignore[arg-type]
    accepted = await service.launch()
    async with service.http.stream("GET", accepted["events_url"]) as stream:
        async for line in stream.aiter_lines():
            if '"pulling"' in line or (not messages and '"Starting"' in line):
                break
    yield accepted
    await service.cancel(accepted)


async def shown(service: Service, launch: dict[str, Any]) -> dict[str, Any]:
    answer = await service.http.get(f"/launch/{launch['id']}")
    found: dict[str, Any] = answer.json()
    return found


def expected(launch: dict[str, Any]) -> dict[str, Any]:
    return {name: launch[name] for name in NOTHING_EXPECTED}


async def test_a_launch_at_the_hub_shows_when_it_will_be_ready_and_why(service: Service, hub: FakeHub) -> None:
    await ready_before(service, 30, 35, 40, 45, 90)
    async with at_hub(service, hub) as accepted:
        launch = await shown(service, accepted)

    basis = launch["expected_basis"]
    assert "image" not in launch, "readers without the secret see it too"
    assert 0 <= basis.pop("passed_s") < 30
    assert basis == {"count": 5, "p50_s": 40, "p90_s": 90, "of_pulls": False}
    took = datetime.fromisoformat(launch["expected_ready_at"]) - datetime.fromisoformat(launch["created_at"])
    assert 40 <= took.total_seconds() < 50


async def test_the_usual_times_are_those_that_the_last_launches_took(service: Service, hub: FakeHub) -> None:
    durations = []
    for seconds in (0.0, 0.8, 0.1, 0.6, 0.3):
        hub.spawn_plan(None, SpawnPlan(seconds=seconds))
        accepted = await service.launch()
        await service.events(accepted["events_url"])
        durations.append((await shown(service, accepted))["durations"])
    async with at_hub(service, hub) as accepted:
        basis = (await shown(service, accepted))["expected_basis"]

    assert (basis["count"], basis["of_pulls"]) == (5, False)
    shortest, longest = (sorted(one[name] for one in durations) for name in ("spawning_s", "total_s"))
    for name, place in (("p50_s", 2), ("p90_s", 4)):
        # A start begins between the launch and its first event at the Hub, and is stored soon after its end.
        assert shortest[place] - 0.1 <= basis[name] <= longest[place] + 2


async def test_the_first_event_at_the_hub_and_the_first_pull_say_when_the_launch_will_be_ready(
    service: Service, hub: FakeHub
) -> None:
    await ready_before(service, 3, 4, 5, 6, 7)
    await ready_before(service, 60, 70, 80, 90, 100, pulled=True)
    hub.spawn_plan(None, SpawnPlan(messages=("Starting", PULLING, "Starting"), seconds=0.1))

    accepted = await service.launch()
    events = await service.events(f"/launch/{accepted['id']}/events")

    telling = [event for event in events if "expected_basis" in event]
    at_hub, pull = telling
    assert (at_hub["phase"], pull["stage"]) == ("launching", "pulling")
    assert at_hub == next(event for event in events if event["phase"] == "launching")
    assert [event["expected_basis"]["p50_s"] for event in telling] == [33.5, 80]
    assert [event["expected_basis"]["of_pulls"] for event in telling] == [False, True]
    assert pull["message"] == "Launching", "readers without the secret see the estimate, too"
    ahead = datetime.fromisoformat(pull["expected_ready_at"]) - datetime.fromisoformat(pull["at"])
    assert ahead.total_seconds() == pytest.approx(80 - pull["expected_basis"]["passed_s"], abs=0.1)


async def test_with_fewer_than_five_launches_nothing_is_expected(service: Service, hub: FakeHub) -> None:
    await ready_before(service, 30, 35, 40, 45)
    async with at_hub(service, hub) as accepted:
        launch = await shown(service, accepted)

    assert expected(launch) == NOTHING_EXPECTED


async def test_a_launch_that_pulls_is_expected_to_take_as_long_as_other_pulls(service: Service, hub: FakeHub) -> None:
    await ready_before(service, 3, 4, 5, 6, 7)
    await ready_before(service, 60, 70, 80, 90, 100, pulled=True)
    async with at_hub(service, hub, PULLING) as accepted:
        launch = await shown(service, accepted)

    assert launch["expected_basis"]["p50_s"] == 80
    assert launch["expected_basis"]["of_pulls"]


async def test_a_launch_that_takes_longer_than_usual_has_no_expected_time(service: Service, hub: FakeHub) -> None:
    await ready_before(service, 0.0, 0.0, 0.0, 0.0, 0.0)
    async with at_hub(service, hub) as accepted:
        launch = await shown(service, accepted)

    assert launch["expected_ready_at"] is None
    assert launch["expected_basis"]["passed_s"] >= launch["expected_basis"]["p90_s"] == 0


async def test_nothing_is_expected_of_launches_in_the_queue_or_that_have_ended(
    settings: Settings, hub: FakeHub
) -> None:
    async with serve(settings, max_concurrent_spawns=1) as service:
        await ready_before(service, 30, 35, 40, 45, 90)
        async with at_hub(service, hub) as first:
            waiting = await service.launch()
            before = await shown(service, waiting)
            await service.cancel(waiting)
        after = await shown(service, first)

    assert (before["status"], after["status"]) == ("waiting", "cancelled")
    assert expected(before) == expected(after) == NOTHING_EXPECTED
