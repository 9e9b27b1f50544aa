"""Launches for existing users: however a launch ends, the user and their other servers stay."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hublaunch.files.keys import add_key
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.served import Service, serve


@dataclass(frozen=True)
class AdasCaller:
    """A caller who launches for Ada, and the settings of the service."""

    settings: Settings
    headers: dict[str, str]
    body: dict[str, str]


@pytest.fixture(params=["Ada", "a key that names her"])
async def adas_caller(request: pytest.FixtureRequest, settings: Settings, hub: FakeHub, tmp_path: Path) -> AdasCaller:
    """Ada also has a server of her own."""
    hub.create_user("ada")
    await hub.start_server("ada", "her-own", {})
    await hub.until(lambda: hub.users["ada"].servers["her-own"].ready)
    token = hub.token_of("ada")
    _, key = add_key(tmp_path / "keys.json", name="ci", may_name_user=True)
    changed = {"access": ("hub", "key"), "api_keys_file": tmp_path / "keys.json", "allow_named_servers": True}
    by_key = request.param != "Ada"
    return AdasCaller(
        settings=settings.model_copy(update=changed),
        headers={"Authorization": f"Bearer {key if by_key else token}"},
        body={"server_name": "work"} | ({"username": "ada"} if by_key else {}),
    )


@pytest.fixture
async def service(adas_caller: AdasCaller) -> AsyncGenerator[Service]:
    async with serve(adas_caller.settings) as service:
        service.http.headers.update(adas_caller.headers)
        yield service


def named_servers(hub: FakeHub) -> set[str]:
    """Return Ada's servers at the Hub, including stopped ones."""
    return {name for name in hub.users["ada"].servers if name}


def assert_nothing_else_was_touched(hub: FakeHub) -> None:
    assert hub.asked("create_user") == []
    assert hub.asked("delete_user") == []
    assert hub.asked("mint_token") == []
    assert {(request.username, request.server_name) for request in hub.asked("stop_server")} <= {("ada", "work")}
    assert ("ada", "her-own") in hub.active_servers


@pytest.mark.parametrize(
    ("plan", "cancelled", "end"),
    [
        (SpawnPlan(fails="no such image"), "", "spawn_failed"),
        (SpawnPlan(never=True), "", "launch_timeout"),
        (SpawnPlan(never=True), "while starting", None),
        (SpawnPlan(), "when ready", None),
    ],
    ids=["failed", "timed out", "cancelled while starting", "cancelled when ready"],
)
async def test_the_user_and_their_other_server_stay(
    adas_caller: AdasCaller, hub: FakeHub, plan: SpawnPlan, cancelled: str, end: str | None
) -> None:
    hub.spawn_plan("ada", plan)
    async with serve(adas_caller.settings, launch_timeout=0.3 if end == "launch_timeout" else 20) as service:
        service.http.headers.update(adas_caller.headers)
        accepted = await service.launch(**adas_caller.body)
        if cancelled == "while starting":
            await hub.until(lambda: hub.is_spawning("ada", "work"))
            await service.cancel(accepted)
        last = (await service.events(accepted["events_url"]))[-1]
        if cancelled == "when ready":
            await service.cancel(accepted)

    assert last.get("problem", {}).get("code") == end
    assert named_servers(hub) == {"her-own"}
    assert_nothing_else_was_touched(hub)


async def test_the_next_attempt_uses_the_same_account_and_server(
    service: Service, adas_caller: AdasCaller, hub: FakeHub
) -> None:
    hub.spawn_plan("ada", SpawnPlan(never=True))
    accepted = await service.launch(**adas_caller.body)
    await hub.until(lambda: hub.is_spawning("ada", "work") and hub.open_streams)
    hub.spawn_plan("ada", SpawnPlan())

    await hub.restart()
    events = await service.events(accepted["events_url"])

    launch = (await service.http.get(f"/launch/{accepted['id']}")).json()
    assert (events[-1]["phase"], events[-1]["attempt"]) == ("ready", 2)
    assert (launch["username"], launch["server_name"]) == ("ada", "work")
    assert hub.count("spawn_started", "ada") == 3, "hers, the one that was lost, and the one that is ready"


async def test_after_a_restart_a_new_attempt_uses_the_same_account_and_server(
    adas_caller: AdasCaller, hub: FakeHub
) -> None:
    hub.spawn_plan("ada", SpawnPlan(never=True))
    async with serve(adas_caller.settings) as service:
        service.http.headers.update(adas_caller.headers)
        accepted = await service.launch(**adas_caller.body)
        await hub.until(lambda: hub.is_spawning("ada", "work"))
    await hub.restart()
    hub.spawn_plan("ada", SpawnPlan())

    async with serve(adas_caller.settings) as service:
        events = await service.events(accepted["events_url"])

    assert (events[-1]["phase"], events[-1]["attempt"]) == ("ready", 2)
    assert hub.active_servers == {("ada", "her-own"), ("ada", "work")}
    assert_nothing_else_was_touched(hub)


async def test_after_a_restart_a_spawn_in_progress_is_followed(adas_caller: AdasCaller, hub: FakeHub) -> None:
    hub.spawn_plan("ada", SpawnPlan(never=True))
    async with serve(adas_caller.settings) as service:
        service.http.headers.update(adas_caller.headers)
        accepted = await service.launch(**adas_caller.body)
        await hub.until(lambda: hub.is_spawning("ada", "work"))

    async with serve(adas_caller.settings) as service:
        following = asyncio.create_task(service.events(accepted["events_url"]))
        await hub.until(lambda: hub.open_streams)
        hub.release("ada", "work")
        events = await following

    assert (events[-1]["phase"], events[-1]["attempt"]) == ("ready", 1)
    assert hub.count("spawn_started", "ada") == 2, "hers, and the launch's"
