"""Launches that are in progress when the service restarts."""

import asyncio
from pathlib import Path

from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.served import read_events, serve
from tests.support.sqlite import execute


async def test_a_restart_continues_a_spawn_in_progress(settings: Settings, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(messages=["Pulling"], never=True))
    async with serve(settings) as service:
        accepted = await service.launch()
        await hub.until(lambda: hub.active_servers)
        (user,) = hub.users
        hub.report(user, "Half way", progress=50)
        async with service.http.stream("GET", accepted["events_url"]) as stream:
            async for event in read_events(stream):
                if event["message"] == "Half way":
                    break

    async with serve(settings) as service:
        await hub.until(lambda: hub.open_streams)
        hub.report(user, "Nearly there", progress=90)
        hub.release(user)
        events = await service.events(accepted["events_url"])

    told = [(event["message"], event["progress"], event["attempt"]) for event in events[2:]]
    assert told == [
        ("Server requested", 0, 1),
        ("Pulling", 50, 1),
        ("Half way", 50, 1),
        ("Nearly there", 90, 1),
        ("The server is ready", 100, 1),
    ]
    assert list(hub.users) == [user]
    assert hub.count("spawn_started") == 1
    assert len(hub.tokens.of(user)) == 2  # the server's own, and the visitor's, which was replaced
    assert hub.tokens.find(events[-1]["token"])


async def test_a_restart_finds_a_server_that_became_ready_meanwhile(settings: Settings, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    async with serve(settings) as service:
        accepted = await service.launch()
        await hub.until(lambda: hub.active_servers)
    (user,) = hub.users
    hub.release(user)
    execute(settings.database_url, "UPDATE launches SET deadline_at = created_at")

    async with serve(settings) as service:
        events = await service.events(accepted["events_url"])

    assert (events[-1]["phase"], events[-1]["attempt"]) == ("ready", 1)


async def test_a_restart_starts_another_attempt_if_the_hub_lost_the_spawn(settings: Settings, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    async with serve(settings) as service:
        accepted = await service.launch()
        await hub.until(lambda: hub.active_servers)
        first = next(iter(hub.users))
    await hub.restart()
    hub.spawn_plan(None, SpawnPlan())

    async with serve(settings) as service:
        events = await service.events(accepted["events_url"])

    assert (events[-1]["phase"], events[-1]["attempt"]) == ("ready", 2)
    assert "This service was restarted. Trying again." in [event["message"] for event in events]
    assert first not in hub.users
    assert len(hub.users) == 1


async def test_a_restart_waits_for_a_hub_that_is_down(settings: Settings, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(start_returns=True, never=True))
    async with serve(settings) as service:
        accepted = await service.launch()
        await hub.until(lambda: hub.active_servers)
    (user,) = hub.users
    await hub.kill()

    async with serve(settings) as service:
        following = asyncio.create_task(service.events(accepted["events_url"]))
        await hub.start_again()
        hub.release(user)
        events = await following

    assert (events[-1]["phase"], events[-1]["attempt"]) == ("ready", 1)
    assert list(hub.users) == [user]


async def test_a_restart_finishes_a_cancellation(settings: Settings, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    async with serve(settings) as service:
        accepted = await service.launch()
        await hub.until(lambda: hub.active_servers)
        await hub.kill()
        await service.http.delete(f"/launch/{accepted['id']}", headers={"X-Launch-Secret": accepted["secret"]})
    await hub.start_again()

    async with serve(settings) as service:
        events = await service.events(accepted["events_url"])

    assert events[-1]["phase"] == "cancelled"
    assert hub.users == {}


async def test_a_stored_token_survives_a_restart_and_is_never_in_the_clear(settings: Settings) -> None:
    async with serve(settings) as service:
        accepted = await service.launch()
        ready = (await service.events(accepted["events_url"]))[-1]

    async with serve(settings) as service:
        again = (await service.events(accepted["events_url"]))[-1]

    assert again == ready
    files = Path(settings.database_url.removeprefix("sqlite:///")).parent.glob("hublaunch.sqlite*")
    assert not any(ready["token"].encode() in file.read_bytes() for file in files)
    assert not any(accepted["secret"].encode() in file.read_bytes() for file in files)
