"""`GET /build`: which requests continue an existing launch."""

import asyncio
import re
from pathlib import Path

import pytest

from hublaunch.api.pace import WebPace
from hublaunch.files.keys import add_key
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.binder import ACCEPT, SPEC, TOKEN, build, ended, for_ada, until
from tests.support.served import Service, serve


async def test_a_reconnect_continues_the_launch(service: Service, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(messages=["Pulling"], never=True))
    async with build(service) as events:
        last_id, seen = await until(events, "Pulling")
    hub.release(next(iter(hub.users)))

    rest = await ended(service, last_event_id=last_id)

    launch_id, seq, _ = last_id.split(".")
    assert re.fullmatch("[0-9A-HJKMNP-TV-Z]{26}", launch_id)
    assert launch_id == seen["launch_id"]
    assert int(rest[0][0].split(".")[1]) == int(seq) + 1
    assert rest[-1][1]["phase"] == "ready"
    assert len(hub.users) == 1


async def test_a_reconnect_after_the_last_event_gets_204_and_one_beyond_it_gets_all_events(
    service: Service, hub: FakeHub
) -> None:
    told = await ended(service)
    launch_id, _, secret = told[0][0].split(".")

    answer = await service.http.get(SPEC, headers=ACCEPT | {"Last-Event-ID": told[-1][0]})
    again = await ended(service, last_event_id=f"{launch_id}.999.{secret}")

    assert (answer.status_code, answer.content) == (204, b"")
    assert again == told
    assert len(hub.users) == 1


async def test_requests_with_an_api_key_get_a_launch_each_and_reconnects_need_only_the_event_id(
    settings: Settings, hub: FakeHub, tmp_path: Path
) -> None:
    """The key belongs to a backend, which launches for many people."""
    _, key = add_key(tmp_path / "keys.json", name="ci")
    only_keys = {"access": ("key",), "api_keys_file": tmp_path / "keys.json"}
    async with serve(settings.model_copy(update=only_keys)) as service:
        first, second = [await ended(service, authorization=f"Bearer {key}") for _ in range(2)]

        rest = await ended(service, last_event_id=first[0][0])

    assert rest[-1] == first[-1]
    assert first[-1][1]["token"] != second[-1][1]["token"]
    assert len(hub.users) == 2


async def test_a_reconnect_works_with_expired_credentials(of_ada: Service, hub: FakeHub) -> None:
    first_id = (await ended(of_ada))[0][0]

    rest = await ended(of_ada, last_event_id=first_id, authorization="Bearer revoked-by-now")

    assert rest[-1][1]["phase"] == "ready"
    assert hub.count("spawn_started") == 1


async def test_a_launch_id_without_the_secret_gives_no_access(service: Service, hub: FakeHub) -> None:
    """The id is public: it is in logs and in every page that follows the launch."""
    first_id = (await ended(service))[0][0]
    launch_id, seq, secret = first_id.split(".")
    wrong = "A" * 43 if secret[0] != "A" else "B" * 43

    no_ulid = f"8{launch_id[1:]}.{seq}.{secret}"
    for tried in (launch_id, f"{launch_id}.{seq}", f"{launch_id}.{seq}.", f"{launch_id}.{seq}.{wrong}", no_ulid):
        told = await ended(service, last_event_id=tried)
        assert told[0][1]["launch_id"] != launch_id
        assert told[-1][1]["token"] != ""

    assert len(hub.users) == 6


async def test_anonymous_callers_with_one_address_get_a_launch_each(service: Service, hub: FakeHub) -> None:
    """A whole class can share an address, and anyone who gets a launch gets its token."""
    first, second = await ended(service), await ended(service)

    assert first[-1][1]["token"] != second[-1][1]["token"]
    assert len(hub.users) == 2


async def test_a_random_build_token_finds_its_launch(service: Service, hub: FakeHub) -> None:
    url = f"{SPEC}?build_token={TOKEN}"
    hub.spawn_plan(None, SpawnPlan(messages=["Pulling"], never=True))
    async with build(service, url) as events:
        _, seen = await until(events, "Pulling")
    hub.release(next(iter(hub.users)))

    told = await ended(service, url)

    assert {data["launch_id"] for _, data in told if "launch_id" in data} == {seen["launch_id"]}
    assert (told[0][1]["phase"], told[-1][1]["phase"]) == ("waiting", "ready")
    assert len(hub.users) == 1


@pytest.mark.parametrize("token", ["short", "eyJhbGciOiJIUzI1NiJ9.eyJhdWQiOiJnaC9vcmcvcmVwby9tYWluIn0.c2lnbmF0dXJl"])
async def test_a_build_token_that_clients_share_is_ignored(service: Service, hub: FakeHub, token: str) -> None:
    url = f"{SPEC}?build_token={token}"

    first, second = await ended(service, url), await ended(service, url)

    assert first[-1][1]["token"] != second[-1][1]["token"]
    assert len(hub.users) == 2


async def test_a_build_token_for_another_spec_is_refused(service: Service, hub: FakeHub) -> None:
    await ended(service, f"{SPEC}?build_token={TOKEN}")

    refused = (await ended(service, f"/build/gh/org/other/main?build_token={TOKEN}"))[-1][1]

    assert refused["problem"]["code"] == "idempotency_key_reused"
    assert len(hub.users) == 1


async def test_a_launch_whose_server_has_stopped_is_not_continued(service: Service, hub: FakeHub) -> None:
    told = await ended(service, f"{SPEC}?build_token={TOKEN}")
    first_id, first = told[0]
    await service.cancel({"id": first["launch_id"], "secret": first_id.split(".")[2]})

    after_all = await service.http.get(SPEC, headers=ACCEPT | {"Last-Event-ID": told[-1][0]})
    by_id = (await ended(service, last_event_id=first_id))[-1][1]
    by_token = (await ended(service, f"{SPEC}?build_token={TOKEN}"))[-1][1]

    assert by_id["problem"]["code"] == by_token["problem"]["code"] == "server_stopped"
    assert after_all.status_code == 204
    assert hub.count("user_created") == 1


async def test_a_hub_users_launch_in_progress_is_continued(of_ada: Service, hub: FakeHub) -> None:
    hub.spawn_plan("ada", SpawnPlan(messages=["Pulling"], never=True))
    async with build(of_ada) as events:
        _, seen = await until(events, "Pulling")

    async with build(of_ada) as events:
        _, again = await anext(events)

    assert again["launch_id"] == seen["launch_id"]
    assert hub.count("spawn_started") == 1


async def test_a_hub_users_ready_launch_is_reused(of_ada: Service, hub: FakeHub) -> None:
    first = (await ended(of_ada))[-1][1]

    again = (await ended(of_ada))[-1][1]

    assert again == first
    assert (first["token"], first["url"].startswith(f"{hub.url}user/ada/")) == ("", True)
    assert hub.count("spawn_started") == 1


async def test_another_spec_with_the_same_image_is_a_new_launch(of_ada: Service, hub: FakeHub) -> None:
    first = (await ended(of_ada, "/build/gh/org/fixed/main"))[-1][1]

    other = (await ended(of_ada, "/build/gh/org/fixed/other"))[-1][1]

    assert (other["image"], other["repo_url"]) == (first["image"], first["repo_url"])
    assert other["url"] != first["url"]


async def test_another_hub_users_launch_is_not_reused(of_ada: Service, hub: FakeHub) -> None:
    first = (await ended(of_ada))[-1][1]
    bob = hub.token_of("bob")

    other = (await ended(of_ada, authorization=f"Bearer {bob}"))[-1][1]

    assert other["launch_id"] != first["launch_id"]
    assert other["url"].startswith(f"{hub.url}user/bob/")


async def test_a_failed_launch_is_not_reused(of_ada: Service, hub: FakeHub) -> None:
    hub.spawn_plan("ada", SpawnPlan(fails="no such image"))
    failed = (await ended(of_ada))[-1][1]
    hub.spawn_plan("ada", SpawnPlan())

    async with asyncio.timeout(10):
        while (again := (await ended(of_ada))[-1][1])["phase"] != "ready":
            pass  # the failed launch is still being cleaned up

    assert failed["phase"] == "failed"
    assert again["launch_id"] != failed["launch_id"]


async def test_a_launch_whose_server_was_stopped_at_the_hub_is_not_reused(of_ada: Service, hub: FakeHub) -> None:
    first = (await ended(of_ada))[-1][1]
    name = next(name for name in hub.users["ada"].servers if name)
    await hub.stop_server("ada", name, remove=True)
    await hub.until(lambda: not hub.active_servers)

    again = (await ended(of_ada))[-1][1]

    assert again["phase"] == "ready"
    assert again["launch_id"] != first["launch_id"]


async def test_an_old_launch_is_not_reused(settings: Settings, hub: FakeHub) -> None:
    async with for_ada(settings, hub, web_pace=WebPace(build_recent_s=0.0)) as service:
        first = (await ended(service))[-1][1]
        again = (await ended(service))[-1][1]

    assert again["launch_id"] != first["launch_id"]


async def test_simultaneous_requests_of_a_hub_user_are_one_launch(settings: Settings, hub: FakeHub) -> None:
    async with for_ada(settings, hub, named=False) as service:
        told = await asyncio.gather(*(ended(service) for _ in range(4)))

    assert {events[-1][1]["phase"] for events in told} == {"ready"}
    assert len({events[-1][1]["launch_id"] for events in told}) == 1
    assert hub.count("spawn_started") == 1


async def test_a_user_with_one_server_cannot_launch_a_second_spec(settings: Settings, hub: FakeHub) -> None:
    hub.spawn_plan("ada", SpawnPlan(messages=["Pulling"], never=True))
    async with for_ada(settings, hub, named=False) as service, build(service) as events:
        await until(events, "Pulling")
        refused = (await ended(service, "/build/gh/org/other/main"))[-1][1]

    assert (refused["phase"], refused["problem"]["code"]) == ("failed", "server_already_running")
    assert hub.count("spawn_started") == 1
