"""`if_running`: in which state a launch can be reused."""

import asyncio
import math
from pathlib import Path

import pytest

from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.reuse import REFUSE, REUSE, Callers, post, ready
from tests.support.served import Service, serve


@pytest.mark.parametrize("who", ["ada", "key"])
async def test_a_launch_whose_server_is_gone_is_stopped_and_not_reused(
    service: Service, callers: Callers, hub: FakeHub, who: str
) -> None:
    first = await ready(service, callers[who])
    shown = (await service.http.get(f"/launch/{first['id']}", headers=callers[who])).json()
    await hub.stop_server(shown["username"], shown["server_name"], remove=False)

    answer = await post(service, callers[who], **REUSE)

    assert (answer.status_code, answer.json()["id"] != first["id"]) == (202, True)
    assert (await service.http.get(f"/launch/{first['id']}")).json()["status"] == "stopped"


async def test_a_stopping_server_is_not_reused(service: Service, callers: Callers, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(stop_seconds=math.inf))
    hub.slow_stop_timeout = 0.01
    first = await ready(service, callers["key"])
    username = (await service.http.get(f"/launch/{first['id']}", headers=callers["key"])).json()["username"]
    await hub.stop_server(username, "", remove=False)
    assert hub.users[username].servers[""].pending == "stop"

    answer = await post(service, callers["key"], **REUSE)

    assert (answer.status_code, answer.json()["id"] != first["id"]) == (202, True)


async def test_an_expired_token_prevents_reuse(settings: Settings, callers: Callers, tmp_path: Path) -> None:
    changed = {"access": ("key",), "api_keys_file": tmp_path / "keys.json", "token_lifetime_s": 1}
    async with serve(settings.model_copy(update=changed)) as service, asyncio.timeout(20):
        first = await ready(service, callers["other key"])

        while (answer := await post(service, callers["other key"], **REUSE)).status_code == 200:
            assert answer.json()["id"] == first["id"]

    assert answer.json()["id"] != first["id"]


async def test_a_launch_being_cancelled_is_not_reused(service: Service, callers: Callers, hub: FakeHub) -> None:
    hub.fail_on("stop_server", how="hang", hangs_s=3)
    first = await ready(service, callers["key"])
    await service.http.delete(f"/launch/{first['id']}", headers=callers["key"])

    answer = await post(service, callers["key"], **REUSE)

    assert (answer.status_code, answer.json()["id"] != first["id"]) == (202, True)


async def test_nothing_is_launched_while_the_hub_is_silent(service: Service, callers: Callers, hub: FakeHub) -> None:
    await ready(service, callers["key"])
    hub.fail_on("get_user", status=503, body="html", times=9)

    answer = await post(service, callers["key"], **REUSE)

    assert (answer.status_code, answer.json()["code"]) == (502, "hub_unavailable")
    assert hub.count("spawn_started") == 1


@pytest.mark.parametrize("who", ["ada", "key"])
async def test_a_launch_in_progress_is_reused(service: Service, callers: Callers, hub: FakeHub, who: str) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    first = (await post(service, callers[who])).json()
    await hub.until(lambda: hub.open_streams)

    answer = await post(service, callers[who], **REUSE)
    refused = await post(service, callers[who], **REFUSE)
    (user, server) = next(iter(hub.active_servers))
    hub.release(user, server)
    told = await service.events(answer.json()["events_url"])

    assert (answer.status_code, answer.json()["id"]) == (200, first["id"])
    assert (refused.status_code, refused.json()["launch_id"]) == (409, first["id"])
    assert told[-1]["phase"] == "ready"


async def test_a_ready_launch_is_preferred_to_one_in_progress(service: Service, callers: Callers, hub: FakeHub) -> None:
    first = await ready(service, callers["key"])
    hub.spawn_plan(None, SpawnPlan(never=True))
    await post(service, callers["key"])

    assert (await post(service, callers["key"], **REUSE)).json()["id"] == first["id"]


async def test_simultaneous_requests_start_one_launch(service: Service, callers: Callers, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))

    reused = await asyncio.gather(*(post(service, callers["other key"], **REUSE) for _ in range(10)))
    refused = await asyncio.gather(*(post(service, callers["naming key"], **REFUSE) for _ in range(10)))

    assert sorted(answer.status_code for answer in reused) == [200] * 9 + [202]
    assert len({answer.json()["id"] for answer in reused}) == 1
    assert sorted(answer.status_code for answer in refused) == [202] + [409] * 9
