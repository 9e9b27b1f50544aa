"""`GET /build`: launches as BinderHub's clients see them."""

import asyncio
from pathlib import Path

import pytest

from hublaunch.api.pace import WebPace
from hublaunch.launch.pace import Pace
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.binder import ACCEPT, IMAGE, SPEC, build, ended
from tests.support.catalogue import catalogue_in
from tests.support.served import PREFIXES, Service, serve

SCIPY = "quay.io/org/scipy"


async def test_a_launch_is_streamed_in_binderhubs_format(service: Service, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(messages=["Pulling", "Starting"], seconds=0.2))

    told = [data for _, data in await ended(service)]

    phases = [data["phase"] for data in told]
    assert (phases[:3], phases[-1]) == (["waiting", "built", "launching"], "ready")
    assert set(phases[2:-1]) == {"launching"}
    assert told[1]["imageName"] == IMAGE
    assert [data["message"] for data in told][-3:-1] == ["Pulling\n", "Starting\n"]
    assert all(data["message"].endswith("\n") for data in told)
    username = next(iter(hub.users))
    ready = told[-1]
    assert (ready["url"], ready["image"]) == (f"{hub.url}user/{username}/", IMAGE)
    assert ready["repo_url"] == "https://github.com/org/repo"
    assert ready["binder_request"] == "v2/gh/org/repo/main"
    assert hub.tokens.find(ready["token"]) is not None
    assert next(line.user_options for line in hub.journal if line.what == "spawn_started") == {
        "image": IMAGE,
        "repo_url": "https://github.com/org/repo",
        "ref": "main",
        "binder_request": "v2/gh/org/repo/main",
        "binder_ref_url": "https://github.com/org/repo/tree/main",
    }


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_build_is_served_below_the_prefix(settings: Settings, prefix: str) -> None:
    async with serve(settings.model_copy(update={"prefix": prefix})) as service:
        ready = (await ended(service))[-1][1]

    assert ready["image"] == IMAGE


async def test_a_repository_can_be_mapped_to_an_environment_of_the_catalogue(
    settings: Settings, hub: FakeHub, tmp_path: Path
) -> None:
    changed = {"binder_images": {"gh/org/*/*": "scipy"}, "catalogue_file": catalogue_in(tmp_path)}
    async with serve(settings.model_copy(update=changed)) as service:
        told = [data for _, data in await ended(service)]
        exists = (await ended(service, f"{SPEC}?build_only=true"))[-1][1]

    (user,) = hub.users
    options = hub.users[user].servers[""].user_options or {}
    assert (told[-1]["phase"], told[-1]["image"], told[1]["imageName"]) == ("ready", SCIPY, SCIPY)
    assert (options["image"], options["profile"]) == (SCIPY, "small")
    assert exists["imageName"] == SCIPY


async def test_a_mapping_to_an_environment_that_the_catalogue_lacks_is_refused(
    settings: Settings, tmp_path: Path
) -> None:
    changed = {"binder_images": {"gh/org/*/*": "scypi"}, "catalogue_file": catalogue_in(tmp_path)}
    async with serve(settings.model_copy(update=changed)) as service:
        failed = [(await ended(service, url))[-1][1] for url in (SPEC, f"{SPEC}?build_only=true")]

    assert {one["problem"]["code"] for one in failed} == {"invalid_request"}
    assert all("Did you mean scipy?" in one["message"] for one in failed)


async def test_a_failed_event_has_the_cause_and_advice(service: Service, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(fails="no such image"))

    failed = (await ended(service))[-1][1]

    assert (failed["phase"], failed["problem"]["code"]) == ("failed", "spawn_failed")
    assert failed["problem"]["detail"] in failed["message"]
    assert failed["problem"]["advice"] in failed["message"]


async def test_a_cancelled_launch_is_a_failed_event(service: Service, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    async with build(service) as events:
        event_id, data = await anext(events)
        await service.cancel({"id": data["launch_id"], "secret": event_id.rpartition(".")[2]})
        last = [data async for _, data in events][-1]

    assert (last["phase"], last["message"]) == ("failed", "Cancelled\n")


async def test_the_queue_position_is_a_waiting_event_without_an_id(settings: Settings, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    async with serve(settings.model_copy(update={"max_concurrent_spawns": 1})) as service:
        await service.launch()
        await hub.until(lambda: hub.active_servers)
        async with build(service) as events:
            first = await anext(events)
            in_queue = await anext(events)
            hub.release(next(iter(hub.users)))
            admitted = await anext(events)

    assert in_queue == (first[0], {"phase": "waiting", "message": "Position 1 in the queue\n"})
    assert admitted == (first[0], {"phase": "waiting", "message": "Admitted\n"})


async def test_an_idle_stream_sends_comments(settings: Settings, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))

    async with (
        asyncio.timeout(5),
        serve(settings, pace=Pace(heartbeat_s=0.05)) as service,
        service.http.stream("GET", SPEC, headers=ACCEPT) as stream,
    ):
        async for line in stream.aiter_lines():
            if line == ":keepalive":
                return


async def test_the_stream_ends_if_the_client_does_not_close_it(settings: Settings) -> None:
    async with (
        asyncio.timeout(5),
        serve(settings, web_pace=WebPace(build_linger_s=0.0)) as service,
        build(service) as events,
    ):
        phases = [data["phase"] async for _, data in events]

    assert phases[-1] == "ready"


async def test_a_ready_stream_stays_open_until_the_service_stops(service: Service) -> None:
    async with build(service) as events, asyncio.timeout(5):
        async for _, data in events:
            if data["phase"] == "ready":
                service.state["web"].feed.end()


async def test_build_only_returns_the_image_and_launches_nothing(service: Service, hub: FakeHub) -> None:
    event_id, told = (await ended(service, f"{SPEC}?build_only=true"))[0]
    again = await service.http.get(f"{SPEC}?build_only=true", headers=ACCEPT | {"Last-Event-ID": event_id})

    assert (told["phase"], told["imageName"], again.status_code) == ("ready", IMAGE, 204)
    assert hub.count("user_created") == 0


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (SPEC, {"repo_url": "https://github.com/org/repo", "binder_launch_host": "http://{host}/"}),
        ("/build/zenodo/10.5281/zenodo.3242074", {"repo_url": "10.5281/zenodo.3242074"}),
        (
            "/build/gl/group%2Fsub%2Frepo/main",
            {"repo_url": "https://gitlab.com/group/sub/repo.git", "image": "quay.io/binder/sub/repo:main"},
        ),
        (
            "/build/git/https%3A%2F%2Fgit.example.org%2Fa/v1",
            {"repo_url": "https://git.example.org/a", "binder_ref_url": "https://git.example.org/a"},
        ),
    ],
)
async def test_ready_describes_the_repository_as_binderhub_does(
    settings: Settings, path: str, expected: dict[str, str]
) -> None:
    mapped = {**settings.binder_images, "git/*/*": IMAGE}
    async with serve(settings.model_copy(update={"binder_images": mapped})) as service:
        ready = (await ended(service, path))[-1][1]
        host = service.http.base_url.netloc.decode()

    assert {name: ready[name] for name in expected} == {
        name: value.replace("{host}", host) for name, value in expected.items()
    }


async def test_launch_host_is_https_where_a_proxy_ends_tls(service: Service) -> None:
    ready = (await ended(service, SPEC, **{"X-Forwarded-Proto": "https"}))[-1][1]

    assert ready["binder_launch_host"].startswith("https://")


async def test_health_and_badge_answer_as_binderhubs_do(service: Service, hub: FakeHub) -> None:
    async with asyncio.timeout(30):
        while (healthy := await service.http.get("/health")).status_code == 503:
            assert [check["ok"] for check in healthy.json()["checks"]] == [False, True], "the Hub was not asked yet"
    badge = await service.http.get("/badge_logo.svg")

    assert (healthy.status_code, healthy.json()["ok"]) == (200, True)
    assert {check["service"] for check in healthy.json()["checks"]} == {"JupyterHub API", "hublaunch"}
    assert badge.headers["Content-Type"] == "image/svg+xml"
