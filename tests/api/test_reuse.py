"""`if_running`: what somebody gets who already has a launch of the image and repository."""

import asyncio
import math
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from hublaunch.files.keys import add_key
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.served import BODY, Service, read_events, serve

SCOPE = "access:services!service=hublaunch"
REUSE, REFUSE, NEW = ({"if_running": what} for what in ("reuse", "refuse", "new"))
OTHER_IMAGE = {"image": "quay.io/jupyter/base-notebook:other"}


@pytest.fixture
async def service(settings: Settings, callers: Mapping[str, dict[str, str]], tmp_path: Path) -> AsyncGenerator[Service]:
    path = tmp_path / "keys.json"
    access = {"access": ("anonymous", "hub", "key"), "api_keys_file": path, "allow_named_servers": True}
    async with serve(settings.model_copy(update=access)) as service, asyncio.timeout(30):
        yield service


@pytest.fixture
async def callers(hub: FakeHub, tmp_path: Path) -> Mapping[str, dict[str, str]]:
    """What each sends."""
    credentials = {}
    for name in ("ada", "bob"):
        hub.create_user(name)
        credentials[name] = hub.tokens.add(name, [SCOPE], "", None).token
    path = tmp_path / "keys.json"
    credentials["key"] = add_key(path, name="ci", max_active=3)[1]
    credentials["other key"] = add_key(path, name="other")[1]
    credentials["naming key"] = add_key(path, name="naming", may_name_user=True)[1]
    return {"nobody": {}} | {name: {"Authorization": f"Bearer {value}"} for name, value in credentials.items()}


async def post(service: Service, headers: Mapping[str, str], **body: object) -> httpx.Response:
    return await service.http.post("/launch", json=BODY | body, headers=headers)


async def ready(service: Service, headers: Mapping[str, str], **body: object) -> dict[str, Any]:
    """A launch whose server is."""
    answer = await post(service, headers, **body)
    assert answer.status_code == 202, answer.text
    accepted: dict[str, Any] = answer.json()
    assert (await service.events(accepted["events_url"]))[-1]["phase"] == "ready"
    return accepted


@pytest.mark.parametrize("who", ["ada", "key"])
async def test_a_ready_launch_is_given_again_with_the_way_into_its_server(
    service: Service, callers: Mapping[str, dict[str, str]], hub: FakeHub, who: str
) -> None:
    first = await ready(service, callers[who])

    answer = await post(service, callers[who], **REUSE)

    again = answer.json()
    assert (answer.status_code, again["id"], again["status"]) == (200, first["id"], "ready")
    assert answer.headers["Location"] == f"/launch/{first['id']}"
    assert again["secret"] == first["secret"] == answer.headers["X-Launch-Secret"]
    assert again["events_url"] == first["events_url"]
    assert again["open_url"].startswith(again["url"])
    assert (again["token"] is None) == (who == "ada")
    assert hub.count("spawn_started") == 1


async def test_those_who_follow_one_launch_at_once_are_told_each_where_they_asked_for(
    service: Service, callers: Mapping[str, dict[str, str]], hub: FakeHub
) -> None:
    hub.spawn_plan(None, SpawnPlan(messages=["Pulling"], never=True))
    streaming = {**callers["key"], "Accept": "text/event-stream"}
    pulling = asyncio.Barrier(4)

    async def opened(path: str) -> str:
        body = BODY | REUSE | {"path": path}
        async with service.http.stream("POST", "/launch", json=body, headers=streaming) as stream:
            async for event in read_events(stream):
                if event["message"] == "Pulling":
                    await pulling.wait()
        return str(event["open_url"].removeprefix(event["url"]).partition("?")[0])

    following = [asyncio.create_task(opened(path)) for path in ("lab/a", "lab/b", "")]
    await pulling.wait()
    hub.release(next(iter(hub.users.keys() - {"ada", "bob"})))

    assert await asyncio.gather(*following) == ["lab/a", "lab/b", ""]
    assert hub.count("spawn_started") == 1


async def test_a_launch_that_is_given_again_opens_where_this_request_asks(
    service: Service, callers: Mapping[str, dict[str, str]]
) -> None:
    first = await ready(service, callers["key"], path="lab/tree/a.ipynb")

    again = (await post(service, callers["key"], **REUSE, path="lab/tree/b.ipynb")).json()
    stream = {**callers["key"], "Accept": "text/event-stream"}
    streams = [(await post(service, stream, **REUSE, path=path)).text for path in ("lab/tree/c.ipynb", "", "lab")]
    later = (await service.events(first["events_url"]))[-1]

    token = f"?token={again['token']}"
    assert again["open_url"] == f"{again['url']}lab/tree/b.ipynb{token}"
    for text, path in zip(streams, ("lab/tree/c.ipynb", "", "lab"), strict=True):
        assert f'"open_url":"{again["url"]}{path}{token}"' in text
    assert later["open_url"] == f"{again['url']}lab/tree/a.ipynb{token}"


@pytest.mark.parametrize("spelled", ["https://github.com/org/repo.git", "git@github.com:org/repo"])
async def test_it_is_the_same_however_image_and_repository_are_written(
    service: Service, callers: Mapping[str, dict[str, str]], spelled: str
) -> None:
    first = await ready(service, callers["key"], image="python")

    answer = await post(service, callers["key"], image="docker.io/library/python:latest", repo_url=spelled, **REUSE)

    assert (answer.status_code, answer.json()["id"]) == (200, first["id"])


@pytest.mark.parametrize(
    "other",
    [
        OTHER_IMAGE,
        {"repo_url": "https://github.com/org/other"},
        {"repo_url": ""},
        {"repo_url": "https://github.com/Org/repo"},
    ],
    ids=["tag", "repository", "no-repository", "letters"],
)
async def test_another_image_or_repository_is_launched(
    service: Service, callers: Mapping[str, dict[str, str]], other: dict[str, str]
) -> None:
    await ready(service, callers["key"])

    assert (await post(service, callers["key"], **other, **REUSE)).status_code == 202
    assert (await post(service, callers["key"], **other, **REFUSE)).status_code == 409


async def test_by_default_another_one_is_launched(service: Service, callers: Mapping[str, dict[str, str]]) -> None:
    first = await ready(service, callers["key"])

    answers = [await post(service, callers["key"]), await post(service, callers["key"], **NEW)]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert len({first["id"], *(answer.json()["id"] for answer in answers)}) == 3


async def test_refuse_is_409_and_names_the_launch(service: Service, callers: Mapping[str, dict[str, str]]) -> None:
    first = await ready(service, callers["ada"])

    answer = await post(service, callers["ada"], **REFUSE)

    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["launch_id"]) == (409, "already_running", first["id"])
    assert first["id"] in problem["detail"]


@pytest.mark.parametrize("how", [REUSE, REFUSE], ids=["reuse", "refuse"])
async def test_who_has_none_yet_gets_a_new_one(
    service: Service, callers: Mapping[str, dict[str, str]], how: dict[str, str]
) -> None:
    assert (await post(service, callers["ada"], **how)).status_code == 202


@pytest.mark.parametrize("whose", ["ada", "key", "nobody"])
@pytest.mark.parametrize("how", [REUSE, REFUSE], ids=["reuse", "refuse"])
async def test_nobody_finds_anybody_else_s_launch(
    service: Service, callers: Mapping[str, dict[str, str]], how: dict[str, str], whose: str
) -> None:
    """Who has no credentials finds none, not even of the same address: many people may have it."""
    first = await ready(service, callers[whose])

    for other in ("nobody", *(caller for caller in callers if caller != whose)):
        answer = await post(service, callers[other], **how)
        assert answer.status_code == 202, other
        assert answer.json()["id"] != first["id"]


async def test_the_secret_of_a_launch_does_not_make_it_one_s_own(
    service: Service, callers: Mapping[str, dict[str, str]]
) -> None:
    first = await ready(service, callers["ada"])

    answer = await post(service, {"X-Launch-Secret": first["secret"]}, **REUSE)

    assert (answer.status_code, answer.json()["id"] != first["id"]) == (202, True)


async def test_a_key_that_names_users_finds_the_launch_of_the_user_whom_it_names(
    service: Service, callers: Mapping[str, dict[str, str]]
) -> None:
    key = callers["naming key"]
    adas = await ready(service, key, username="ada")

    bobs = await post(service, key, username="bob", **REUSE)
    nobodys = await post(service, key, **REUSE)
    again = await post(service, key, username="ada", **REUSE)

    assert (bobs.status_code, nobodys.status_code) == (202, 202)
    assert (again.status_code, again.json()["id"]) == (200, adas["id"])


async def test_a_server_that_is_named_is_looked_for_by_its_name(
    service: Service, callers: Mapping[str, dict[str, str]]
) -> None:
    first = await ready(service, callers["ada"], server_name="one")

    same = await post(service, callers["ada"], server_name="one", **REUSE)
    other = await post(service, callers["ada"], server_name="two", **REUSE)

    assert (same.status_code, same.json()["id"]) == (200, first["id"])
    assert other.status_code == 202


async def test_the_default_server_of_a_user_is_found_where_there_are_no_named_ones(
    settings: Settings, callers: Mapping[str, dict[str, str]]
) -> None:
    async with serve(settings.model_copy(update={"access": ("hub",)})) as service:
        first = await ready(service, callers["ada"])

        same = await post(service, callers["ada"], **REUSE)
        other = await post(service, callers["ada"], **OTHER_IMAGE, **REUSE)

    assert (same.status_code, same.json()["id"]) == (200, first["id"])
    assert (other.status_code, other.json()["code"]) == (409, "server_already_running")


@pytest.mark.parametrize("who", ["ada", "key"])
async def test_a_launch_whose_server_is_gone_is_stopped_and_another_one_is_launched(
    service: Service, callers: Mapping[str, dict[str, str]], hub: FakeHub, who: str
) -> None:
    first = await ready(service, callers[who])
    shown = (await service.http.get(f"/launch/{first['id']}", headers=callers[who])).json()
    await hub.stop_server(shown["username"], shown["server_name"], remove=False)

    answer = await post(service, callers[who], **REUSE)

    assert (answer.status_code, answer.json()["id"] != first["id"]) == (202, True)
    assert (await service.http.get(f"/launch/{first['id']}")).json()["status"] == "stopped"


async def test_a_server_that_is_just_stopping_is_of_no_use(
    service: Service, callers: Mapping[str, dict[str, str]], hub: FakeHub
) -> None:
    hub.spawn_plan(None, SpawnPlan(stop_seconds=math.inf))
    hub.slow_stop_timeout = 0.01
    first = await ready(service, callers["key"])
    username = (await service.http.get(f"/launch/{first['id']}", headers=callers["key"])).json()["username"]
    await hub.stop_server(username, "", remove=False)
    assert hub.users[username].servers[""].pending == "stop"

    answer = await post(service, callers["key"], **REUSE)

    assert (answer.status_code, answer.json()["id"] != first["id"]) == (202, True)


async def test_a_launch_whose_token_has_run_out_is_of_no_use(
    settings: Settings, callers: Mapping[str, dict[str, str]], tmp_path: Path
) -> None:
    changed = {"access": ("key",), "api_keys_file": tmp_path / "keys.json", "token_lifetime_s": 1}
    async with serve(settings.model_copy(update=changed)) as service, asyncio.timeout(20):
        first = await ready(service, callers["other key"])

        while (answer := await post(service, callers["other key"], **REUSE)).status_code == 200:
            assert answer.json()["id"] == first["id"]

    assert answer.json()["id"] != first["id"]


async def test_one_that_is_being_cancelled_is_of_no_use(
    service: Service, callers: Mapping[str, dict[str, str]], hub: FakeHub
) -> None:
    hub.fail_on("stop_server", how="hang", hangs_s=3)
    first = await ready(service, callers["key"])
    await service.http.delete(f"/launch/{first['id']}", headers=callers["key"])

    answer = await post(service, callers["key"], **REUSE)

    assert (answer.status_code, answer.json()["id"] != first["id"]) == (202, True)


async def test_while_the_hub_cannot_say_the_answer_is_a_problem_and_nothing_is_launched(
    service: Service, callers: Mapping[str, dict[str, str]], hub: FakeHub
) -> None:
    await ready(service, callers["key"])
    hub.fail_on("get_user", status=503, body="html", times=9)

    answer = await post(service, callers["key"], **REUSE)

    assert (answer.status_code, answer.json()["code"]) == (502, "hub_unavailable")
    assert hub.count("spawn_started") == 1


@pytest.mark.parametrize("who", ["ada", "key"])
async def test_a_launch_under_way_is_given_too_and_can_be_followed(
    service: Service, callers: Mapping[str, dict[str, str]], hub: FakeHub, who: str
) -> None:
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


async def test_a_ready_one_is_preferred_to_one_under_way(
    service: Service, callers: Mapping[str, dict[str, str]], hub: FakeHub
) -> None:
    first = await ready(service, callers["key"])
    hub.spawn_plan(None, SpawnPlan(never=True))
    await post(service, callers["key"])

    assert (await post(service, callers["key"], **REUSE)).json()["id"] == first["id"]


async def test_of_many_that_ask_at_once_one_is_launched(
    service: Service, callers: Mapping[str, dict[str, str]], hub: FakeHub
) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))

    reused = await asyncio.gather(*(post(service, callers["other key"], **REUSE) for _ in range(10)))
    refused = await asyncio.gather(*(post(service, callers["naming key"], **REFUSE) for _ in range(10)))

    assert sorted(answer.status_code for answer in reused) == [200] * 9 + [202]
    assert len({answer.json()["id"] for answer in reused}) == 1
    assert sorted(answer.status_code for answer in refused) == [202] + [409] * 9


async def test_as_a_stream_it_is_that_launch_s_events_from_the_first(
    service: Service, callers: Mapping[str, dict[str, str]]
) -> None:
    first = await ready(service, callers["key"])
    events = await service.events(first["events_url"])

    headers = callers["key"] | {"Accept": "text/event-stream"}
    async with service.http.stream("POST", "/launch", json=BODY | REUSE, headers=headers) as stream:
        told = [event async for event in read_events(stream)]

    assert (stream.status_code, stream.headers["Location"]) == (200, f"/launch/{first['id']}")
    assert told == events
    assert told[-1]["open_url"]


async def test_a_quota_that_is_used_up_keeps_nobody_from_what_they_have(
    service: Service, callers: Mapping[str, dict[str, str]]
) -> None:
    launches = [await ready(service, callers["key"]) for _ in range(3)]
    assert (await post(service, callers["key"])).status_code == 429

    answer = await post(service, callers["key"], **REUSE)

    assert (answer.status_code, answer.json()["id"]) == (200, launches[-1]["id"])


async def test_what_may_no_longer_be_launched_is_not_given_either(
    settings: Settings, callers: Mapping[str, dict[str, str]], tmp_path: Path
) -> None:
    changed = {"access": ("key",), "api_keys_file": tmp_path / "keys.json"}
    async with serve(settings.model_copy(update=changed)) as service:
        await ready(service, callers["other key"])
    async with serve(settings.model_copy(update=changed | {"allowed_images": ("python",)})) as service:
        answer = await post(service, callers["other key"], **REUSE)

    assert (answer.status_code, answer.json()["code"]) == (403, "image_not_allowed")


async def test_a_request_that_is_sent_again_with_its_key_is_the_launch_that_it_began(
    service: Service, callers: Mapping[str, dict[str, str]]
) -> None:
    """Also if it refuses a second one: its own launch is no second."""
    headers = callers["key"] | {"Idempotency-Key": "k"}
    first = await post(service, headers, **REFUSE)
    await service.events(first.json()["events_url"])
    await ready(service, callers["key"])

    again = await post(service, headers, **REFUSE)

    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json()["id"] == first.json()["id"]


async def test_a_key_is_not_used_up_by_what_began_no_launch(
    service: Service, callers: Mapping[str, dict[str, str]], hub: FakeHub
) -> None:
    first = await ready(service, callers["key"])
    headers = callers["key"] | {"Idempotency-Key": "k"}
    reused = await post(service, headers, **REUSE)
    await service.http.delete(f"/launch/{first['id']}", headers=callers["key"])
    await hub.until(lambda: not hub.users.keys() - {"ada", "bob"})

    again = await post(service, headers, **REUSE)
    once_more = await post(service, headers, **REUSE)

    assert (reused.status_code, reused.json()["id"]) == (200, first["id"])
    assert (again.status_code, once_more.status_code) == (202, 202)
    assert again.json()["id"] == once_more.json()["id"] != first["id"]


async def test_another_word_is_refused(service: Service, callers: Mapping[str, dict[str, str]]) -> None:
    assert (await post(service, callers["key"], if_running="maybe")).status_code == 422
