"""A launch that the Hub says nothing new about, as its caller, other readers and operators see it."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hublaunch.files.keys import add_key
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.served import Service, serve
from tests.support.stalled import NO_ROOM, SCALE_UP, STALLED, WATCHFUL, silent_since, until_said

NOT_STALLED = (None, None)


@pytest.fixture
async def service(settings: Settings) -> AsyncGenerator[Service]:
    async with serve(settings, pace=WATCHFUL, metrics_public=True) as service:
        yield service


@pytest.fixture
async def launch(service: Service, hub: FakeHub) -> dict[str, Any]:
    """A launch that waits for a machine which the cluster is adding."""
    hub.spawn_plan(None, SpawnPlan(messages=[NO_ROOM, SCALE_UP], seconds=0.1, never=True))
    accepted = await service.launch()
    await until_said(service, accepted["id"], SCALE_UP["message"])
    return accepted


def stall(shown: dict[str, Any]) -> tuple[str | None, str | None]:
    return shown["stalled_since"], shown["stalled_reason"]


async def stalled_launches(service: Service) -> str:
    lines = (await service.http.get("/metrics")).text.splitlines()
    return next(line for line in lines if line.startswith("hublaunch_launches_stalled "))


async def test_a_stalled_launch_says_so_to_everybody_until_there_is_news(
    service: Service, hub: FakeHub, launch: dict[str, Any]
) -> None:
    secret = {"X-Launch-Secret": launch["secret"]}
    before = (await service.http.get(f"/launch/{launch['id']}")).json()
    await silent_since(service, launch["id"])
    await until_said(service, launch["id"], STALLED)
    private = (await service.http.get(f"/launch/{launch['id']}", headers=secret)).json()
    public = (await service.http.get(f"/launch/{launch['id']}")).json()
    counted = await stalled_launches(service)
    hub.release(next(iter(hub.users)))
    events = await service.events(launch["events_url"], **secret)
    after = (await service.http.get(f"/launch/{launch['id']}")).json()

    assert stall(before) == stall(after) == NOT_STALLED
    assert stall(private) == stall(public)
    assert private["stalled_reason"] == "adding_machine"
    since = datetime.fromisoformat(private["stalled_since"])
    assert 200 <= (datetime.now(UTC) - since).total_seconds() < 260
    assert (private["message"], public["message"]) == (STALLED, "Launching")
    assert (private["stage"], private["progress"]) == ("scheduling", 20)
    assert counted == "hublaunch_launches_stalled 1.0"
    assert await stalled_launches(service) == "hublaunch_launches_stalled 0.0"
    [told] = [event for event in events if "stalled_since" in event]
    assert stall(told) == stall(private)
    assert events.index(told) == len(events) - 2


async def test_the_list_says_which_launches_are_stalled(settings: Settings, hub: FakeHub, tmp_path: Path) -> None:
    hub.spawn_plan(None, SpawnPlan(messages=[NO_ROOM], never=True))
    _, key = add_key(tmp_path / "keys.json", name="course")
    async with serve(settings, pace=WATCHFUL, access=("key",), api_keys_file=tmp_path / "keys.json") as service:
        service.http.headers["Authorization"] = f"Bearer {key}"
        accepted = await service.launch()
        await until_said(service, accepted["id"], NO_ROOM["message"])
        await silent_since(service, accepted["id"])
        message = "Waiting for a machine for 3 minutes. No machine has room for the server yet."
        await until_said(service, accepted["id"], message)

        [listed] = (await service.http.get("/launch")).json()["launches"]

        assert (listed["stalled_reason"], listed["message"]) == ("no_machine", message)
        await service.cancel(accepted)
