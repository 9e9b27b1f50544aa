"""`if_running`: which existing launches are reused, and for whom."""

import asyncio
from pathlib import Path

import pytest

from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.reuse import NEW, OTHER_IMAGE, REFUSE, REUSE, Callers, post, ready
from tests.support.served import BODY, Service, read_events, serve


@pytest.mark.parametrize("who", ["ada", "key"])
async def test_a_ready_launch_is_reused_with_its_secret(
    service: Service, callers: Callers, hub: FakeHub, who: str
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


async def test_simultaneous_followers_each_get_their_own_path(service: Service, callers: Callers, hub: FakeHub) -> None:
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


async def test_a_reused_launch_opens_the_path_of_the_new_request(service: Service, callers: Callers) -> None:
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
async def test_other_spellings_find_the_launch(service: Service, callers: Callers, spelled: str) -> None:
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
        {"ref": "dev"},
    ],
    ids=["tag", "repository", "no-repository", "letters", "ref"],
)
async def test_no_other_image_repository_or_ref_is_reused(
    service: Service, callers: Callers, other: dict[str, str]
) -> None:
    await ready(service, callers["key"])

    assert (await post(service, callers["key"], **other, **REUSE)).status_code == 202
    assert (await post(service, callers["key"], **other, **REFUSE)).status_code == 409


async def test_the_default_is_a_new_launch(service: Service, callers: Callers) -> None:
    first = await ready(service, callers["key"])

    answers = [await post(service, callers["key"]), await post(service, callers["key"], **NEW)]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert len({first["id"], *(answer.json()["id"] for answer in answers)}) == 3


async def test_refuse_answers_409_and_names_the_launch(service: Service, callers: Callers) -> None:
    first = await ready(service, callers["ada"])

    answer = await post(service, callers["ada"], **REFUSE)

    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["launch_id"]) == (409, "already_running", first["id"])
    assert first["id"] in problem["detail"]


@pytest.mark.parametrize("whose", ["ada", "key", "nobody"])
@pytest.mark.parametrize("how", [REUSE, REFUSE], ids=["reuse", "refuse"])
async def test_others_launches_are_not_reused(
    service: Service, callers: Callers, how: dict[str, str], whose: str
) -> None:
    """Callers without credentials never reuse a launch, because many people can share an address."""
    first = await ready(service, callers[whose])

    for other in ("nobody", *(caller for caller in callers if caller != whose)):
        answer = await post(service, callers[other], **how)
        assert answer.status_code == 202, other
        assert answer.json()["id"] != first["id"]


async def test_a_launch_secret_does_not_allow_reuse(service: Service, callers: Callers) -> None:
    first = await ready(service, callers["ada"])

    answer = await post(service, {"X-Launch-Secret": first["secret"]}, **REUSE)

    assert (answer.status_code, answer.json()["id"] != first["id"]) == (202, True)


async def test_a_key_reuses_the_launch_of_the_user_it_names(service: Service, callers: Callers) -> None:
    key = callers["naming key"]
    adas = await ready(service, key, username="ada")

    bobs = await post(service, key, username="bob", **REUSE)
    nobodys = await post(service, key, **REUSE)
    again = await post(service, key, username="ada", **REUSE)

    assert (bobs.status_code, nobodys.status_code) == (202, 202)
    assert (again.status_code, again.json()["id"]) == (200, adas["id"])


async def test_a_named_server_is_reused_only_by_its_name(service: Service, callers: Callers) -> None:
    first = await ready(service, callers["ada"], server_name="one")

    same = await post(service, callers["ada"], server_name="one", **REUSE)
    other = await post(service, callers["ada"], server_name="two", **REUSE)

    assert (same.status_code, same.json()["id"]) == (200, first["id"])
    assert other.status_code == 202


async def test_the_default_server_is_reused_without_named_servers(settings: Settings, callers: Callers) -> None:
    async with serve(settings, access=("hub",)) as service:
        first = await ready(service, callers["ada"])

        same = await post(service, callers["ada"], **REUSE)
        other = await post(service, callers["ada"], **OTHER_IMAGE, **REUSE)

    assert (same.status_code, same.json()["id"]) == (200, first["id"])
    assert (other.status_code, other.json()["code"]) == (409, "server_already_running")


async def test_a_stream_has_the_reused_launchs_events_from_the_first(service: Service, callers: Callers) -> None:
    first = await ready(service, callers["key"])
    events = await service.events(first["events_url"])

    headers = callers["key"] | {"Accept": "text/event-stream"}
    async with service.http.stream("POST", "/launch", json=BODY | REUSE, headers=headers) as stream:
        told = [event async for event in read_events(stream)]

    assert (stream.status_code, stream.headers["Location"]) == (200, f"/launch/{first['id']}")
    assert told == events
    assert told[-1]["open_url"]


async def test_a_used_up_quota_does_not_prevent_reuse(service: Service, callers: Callers) -> None:
    launches = [await ready(service, callers["key"]) for _ in range(3)]
    assert (await post(service, callers["key"])).status_code == 429

    answer = await post(service, callers["key"], **REUSE)

    assert (answer.status_code, answer.json()["id"]) == (200, launches[-1]["id"])


async def test_a_launch_whose_image_is_no_longer_allowed_is_not_reused(
    settings: Settings, callers: Callers, tmp_path: Path
) -> None:
    changed = {"access": ("key",), "api_keys_file": tmp_path / "keys.json"}
    async with serve(settings.model_copy(update=changed)) as service:
        await ready(service, callers["other key"])
    async with serve(settings.model_copy(update=changed | {"allowed_images": ("python",)})) as service:
        answer = await post(service, callers["other key"], **REUSE)

    assert (answer.status_code, answer.json()["code"]) == (403, "image_not_allowed")


async def test_a_repeated_key_returns_its_launch_even_with_refuse(service: Service, callers: Callers) -> None:
    headers = callers["key"] | {"Idempotency-Key": "k"}
    first = await post(service, headers, **REFUSE)
    await service.events(first.json()["events_url"])
    await ready(service, callers["key"])

    again = await post(service, headers, **REFUSE)

    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json()["id"] == first.json()["id"]


async def test_reuse_does_not_use_up_an_idempotency_key(service: Service, callers: Callers, hub: FakeHub) -> None:
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


async def test_an_unknown_value_is_refused(service: Service, callers: Callers) -> None:
    assert (await post(service, callers["key"], if_running="maybe")).status_code == 422
