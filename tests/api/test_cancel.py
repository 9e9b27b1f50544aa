"""`DELETE /launch/{id}`: cancelling a launch."""

import pytest

from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.served import Service


async def test_cancelling_a_spawn_ends_the_stream_and_cleans_up(service: Service, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    accepted = await service.launch()
    await hub.until(lambda: hub.active_servers)

    await service.cancel(accepted)

    assert (await service.events(accepted["events_url"]))[-1]["phase"] == "cancelled"
    assert hub.users == {}


async def test_cancelling_immediately_cleans_up(service: Service, hub: FakeHub) -> None:
    accepted = await service.launch()

    await service.cancel(accepted)

    assert hub.users == {}


async def test_cancelling_a_ready_launch_stops_its_server(service: Service, hub: FakeHub) -> None:
    accepted = await service.launch()
    await service.events(accepted["events_url"])

    await service.cancel(accepted)

    shown = (
        await service.http.get(f"/launch/{accepted['id']}", headers={"X-Launch-Secret": accepted["secret"]})
    ).json()
    assert (shown["status"], shown["stopped_by"]) == ("stopped", "caller")
    assert "token" not in shown
    assert hub.users == {}


async def test_cancelling_waits_for_a_hub_that_is_down(service: Service, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    accepted = await service.launch()
    await hub.until(lambda: hub.active_servers)
    await hub.kill()

    first = await service.http.delete(f"/launch/{accepted['id']}", headers={"X-Launch-Secret": accepted["secret"]})

    assert first.status_code == 202
    await hub.start_again()
    await service.cancel(accepted)
    assert hub.users == {}


async def test_cancelling_an_ended_launch_does_nothing(service: Service, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(fails="boom"))
    accepted = await service.launch()
    await service.events(accepted["events_url"])
    before = len(hub.requests)

    answer = await service.http.delete(f"/launch/{accepted['id']}", headers={"X-Launch-Secret": accepted["secret"]})

    assert answer.status_code == 204
    assert len(hub.requests) == before


@pytest.mark.parametrize("headers", [{}, {"X-Launch-Secret": "wrong"}, {"X-Launch-Secret": "ü".encode()}])
async def test_cancelling_needs_the_secret(service: Service, hub: FakeHub, headers: dict[str, str]) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    accepted = await service.launch()

    answer = await service.http.delete(f"/launch/{accepted['id']}", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (403, "secret_required")
