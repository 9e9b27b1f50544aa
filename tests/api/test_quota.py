"""How many launches a key may have at once."""

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


async def test_of_many_that_ask_at_once_exactly_as_many_as_allowed_are_accepted(service: Service, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))

    answers = await asyncio.gather(*(post(service) for _ in range(20)))

    assert sorted(answer.status_code for answer in answers) == [202] * MOST + [429] * (20 - MOST)
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["code"] == "quota_reached"
    await hub.until(lambda: len(hub.users) == 2)  # the guard lets no more of an image through that is not proven


async def test_one_that_was_cancelled_makes_room(service: Service) -> None:
    accepted = [(await post(service)).json() for _ in range(MOST)]
    assert (await post(service)).status_code == 429

    await service.cancel(accepted[0])

    assert (await post(service)).status_code == 202


async def test_one_that_failed_makes_room(service: Service, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(fails="no"))
    for _ in range(MOST):
        await service.events((await post(service)).json()["events_url"])

    assert (await post(service)).status_code == 202


async def test_a_ready_one_whose_server_the_hub_no_longer_has_makes_room(service: Service, hub: FakeHub) -> None:
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


async def test_while_the_hub_cannot_say_the_quota_stands_and_the_answer_is_a_problem(
    service: Service, hub: FakeHub
) -> None:
    for _ in range(MOST):
        await service.events((await post(service)).json()["events_url"])
    hub.fail_on("get_user", status=503, body="html", times=9)

    answer = await post(service)

    assert (answer.status_code, answer.json()["code"]) == (502, "hub_unavailable")


async def test_where_many_ask_for_the_place_of_some_that_are_gone_no_more_than_allowed_are_accepted(
    service: Service, hub: FakeHub
) -> None:
    for _ in range(MOST):
        await service.events((await post(service)).json()["events_url"])
    for name in list(hub.users):
        await hub.stop_server(name, "", remove=False)

    answers = await asyncio.gather(*(post(service) for _ in range(20)))
    while (last := await post(service)).status_code == 202:
        answers.append(last)

    assert sorted(answer.status_code for answer in answers) == [202] * MOST + [429] * (len(answers) - MOST)
    assert last.status_code == 429


async def test_a_restart_of_the_service_does_not_make_room(settings: Settings, hub: FakeHub, tmp_path: Path) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    path = tmp_path / "keys.json"
    _, key = add_key(path, name="ci", max_active=1)
    statuses = []
    for _ in range(2):
        async with serve(settings.model_copy(update={"access": ("key",), "api_keys_file": path})) as service:
            service.http.headers["Authorization"] = f"Bearer {key}"
            statuses.append((await post(service)).status_code)

    assert statuses == [202, 429]


async def test_each_key_has_its_own_quota_and_who_has_none_is_not_counted(
    settings: Settings, hub: FakeHub, tmp_path: Path
) -> None:
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
