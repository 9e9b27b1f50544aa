"""LaunchClient as its user has it, against the service."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from ulid import ULID

from hublaunch.client import (
    AccessDenied,
    InvalidRequest,
    LaunchClient,
    LaunchEvent,
    LaunchNotFound,
    Position,
    Refused,
    TooManyLaunches,
    Unauthenticated,
)
from hublaunch.client.environment import way_to
from hublaunch.files.keys import add_key
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.relay import Relay
from tests.support.served import IMAGE, REPO, serve

NOBODYS = str(ULID())


async def followed(launcher: LaunchClient, launch_id: str, *, after: int = 0) -> list[LaunchEvent]:
    return [event async for event in launcher.follow(launch_id, after=after)]


async def test_a_launch_is_followed_from_waiting_to_ready(launcher: LaunchClient, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(messages=["Pulling"], seconds=0.1))

    launch = await launcher.launch(IMAGE, repo_url=REPO, path="lab/tree/x.ipynb")
    events = await followed(launcher, launch.id)

    assert (launch.status, launch.image, launch.has_ended) == ("waiting", IMAGE, False)
    assert datetime.now(UTC) - launch.created_at < timedelta(seconds=20)
    assert [event.at for event in events] == sorted(event.at for event in events)
    assert all(event.at >= launch.created_at for event in events)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert (events[0].phase, events[-1].phase) == ("waiting", "ready")
    assert "Pulling" in [event.message for event in events]
    assert events[-1].is_last
    assert events[-1].open_url == f"{events[-1].url}lab/tree/x.ipynb?token={events[-1].token}"
    assert events[-1].token_expires_at is not None


async def test_a_launch_that_failed_tells_why_and_what_to_do(launcher: LaunchClient, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(fails="image pull failed"))
    launch = await launcher.launch(IMAGE)

    failed = (await followed(launcher, launch.id))[-1]

    assert failed.problem
    assert (failed.phase, failed.problem.code, failed.problem.detail) == ("failed", "spawn_failed", "image pull failed")
    assert failed.problem.advice


async def test_the_secret_is_kept_with_the_launch_so_that_all_of_it_is_seen(launcher: LaunchClient) -> None:
    launch = await launcher.launch(IMAGE)
    await followed(launcher, launch.id)

    seen = await launcher.get(launch.id)
    async with LaunchClient(launcher.url) as other:
        public = await other.get(launch.id)
    async with LaunchClient(launcher.url, launch_secrets={launch.id: launch.secret or ""}) as later:
        private = await later.get(launch.id)

    assert seen.token
    assert private == seen
    assert (public.status, public.token, public.image) == ("ready", None, None)


async def test_what_is_printed_of_a_launch_lets_nobody_in(launcher: LaunchClient) -> None:
    launch = await launcher.launch(IMAGE)

    ready = (await followed(launcher, launch.id))[-1]

    for told in (repr(launch), repr(ready), repr(await launcher.get(launch.id))):
        assert ready.token
        assert launch.secret
        assert ready.token not in told
        assert launch.secret not in told


async def test_events_are_followed_from_a_number_on(launcher: LaunchClient) -> None:
    launch = await launcher.launch(IMAGE)
    whole = await followed(launcher, launch.id)

    assert await followed(launcher, launch.id, after=2) == whole[2:]
    assert await followed(launcher, launch.id, after=whole[-1].seq) == []
    assert await followed(launcher, launch.id, after=99) == whole


async def test_a_launch_in_the_queue_is_followed_by_a_plain_loop_and_places_go_to_a_callback(
    settings: Settings, hub: FakeHub
) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    places: list[Position] = []
    async with (
        serve(settings.model_copy(update={"max_concurrent_spawns": 1})) as service,
        LaunchClient(str(service.http.base_url)) as launcher,
    ):
        await launcher.launch(IMAGE)
        await hub.until(lambda: hub.active_servers)
        hub.spawn_plan(None, SpawnPlan())
        second = await launcher.launch(IMAGE)

        def leave(place: Position) -> None:
            places.append(place)
            if len(places) == 1:
                hub.release(next(iter(hub.users)))

        async with asyncio.timeout(20):
            phases = [event.phase async for event in launcher.follow(second.id, on_position=leave)]

    assert (phases[0], phases[-1]) == ("waiting", "ready")
    assert (places[0].position, places[0].queue_size, places[-1].position) == (1, 1, 0)


async def test_a_launch_is_cancelled(launcher: LaunchClient, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    launch = await launcher.launch(IMAGE)
    await hub.until(lambda: hub.active_servers)

    assert await launcher.cancel(launch.id)

    assert (await launcher.get(launch.id)).status == "cancelled"
    assert hub.users == {}


async def test_a_cancellation_that_takes_long_is_left_to_the_service(relay: Relay, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    async with LaunchClient(relay.url, patience_s=0.5) as launcher:
        launch = await launcher.launch(IMAGE)
        await hub.until(lambda: hub.active_servers)
        await hub.kill()

        assert not await launcher.cancel(launch.id)

        await hub.start_again()
        assert (await followed(launcher, launch.id))[-1].phase == "cancelled"


async def test_with_a_token_one_has_a_name_and_a_list(settings: Settings, tmp_path: Path) -> None:
    _, key = add_key(tmp_path / "keys.json", name="course")
    access = {"access": ("key",), "api_keys_file": tmp_path / "keys.json"}
    async with (
        serve(settings.model_copy(update=access)) as service,
        LaunchClient(str(service.http.base_url), token=key) as launcher,
    ):
        launches = [await launcher.launch(IMAGE) for _ in range(3)]

        session = await launcher.session()
        listed = [launch.id async for launch in launcher.launches(limit="2")]

    assert (session.kind, session.name, session.is_admin) == ("key", "course", False)
    assert listed == [launch.id for launch in reversed(launches)]


@pytest.mark.parametrize(
    ("act", "kind", "code"),
    [
        (lambda launcher: launcher.launch("No Image"), InvalidRequest, "invalid_request"),
        (lambda launcher: launcher.launch("example.org/other"), AccessDenied, "image_not_allowed"),
        (lambda launcher: launcher.get(NOBODYS), LaunchNotFound, "launch_not_found"),
        (lambda launcher: launcher.get("../healthz"), LaunchNotFound, "not_found"),
        (lambda launcher: launcher.cancel(NOBODYS), LaunchNotFound, "launch_not_found"),
        (lambda launcher: followed(launcher, NOBODYS), LaunchNotFound, "launch_not_found"),
        (lambda launcher: anext(launcher.launches()), Unauthenticated, "unauthenticated"),
    ],
)
async def test_a_refusal_is_an_error_of_its_kind(
    settings: Settings, act: Callable[[LaunchClient], object], kind: type[Refused], code: str
) -> None:
    async with (
        serve(settings.model_copy(update={"allowed_images": ("quay.io/*",)})) as service,
        LaunchClient(str(service.http.base_url)) as launcher,
    ):
        with pytest.raises(kind) as refusal:
            await act(launcher)  # type: ignore[misc]

    assert refusal.value.code == code
    assert refusal.value.problem.advice in str(refusal.value)


async def test_a_field_that_is_wrong_is_named(launcher: LaunchClient) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        await launcher.launch(IMAGE, path="../admin")

    assert refusal.value.problem.errors == [{"field": "path", "reason": "must have no .., and be UTF-8 once decoded"}]


async def test_a_full_quota_is_told_at_once(settings: Settings, tmp_path: Path) -> None:
    _, key = add_key(tmp_path / "keys.json", name="course", max_active=1)
    access = {"access": ("key",), "api_keys_file": tmp_path / "keys.json"}
    async with (
        serve(settings.model_copy(update=access)) as service,
        LaunchClient(str(service.http.base_url), token=key) as launcher,
    ):
        await launcher.launch(IMAGE)

        with pytest.raises(TooManyLaunches):
            await launcher.launch(IMAGE)


async def test_a_wrong_token_is_refused_and_not_told(settings: Settings, tmp_path: Path) -> None:
    add_key(tmp_path / "keys.json", name="course")
    access = {"access": ("key",), "api_keys_file": tmp_path / "keys.json"}
    async with (
        serve(settings.model_copy(update=access)) as service,
        LaunchClient(str(service.http.base_url), token="hunter2hunter2") as launcher,
    ):
        with pytest.raises(Unauthenticated) as refusal:
            await launcher.launch(IMAGE)

    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hub.example.org",
        "ftp://example.org/",
        "http://",
        "http://[",
        "http://a:b/",
        "http://ada:hunter2@example.org",
        "http://example.org/?x",
        "http://example.org/#x",
    ],
)
def test_what_is_no_address_of_a_service_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="address of the service") as refusal:
        LaunchClient(url)

    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("token", ["", "a b", "a\n", "ü"])
def test_what_cannot_be_a_token_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match="token"):
        LaunchClient("http://127.0.0.1", token=token)


async def test_a_transport_of_the_callers_own_is_used_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    transport = httpx.MockTransport(lambda _: httpx.Response(204))

    async with LaunchClient("http://hub.example.org/", transport=transport, patience_s=0) as client:
        assert await client.cancel(NOBODYS)


def test_what_is_printed_of_the_way_to_a_service_has_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://ada:hunter2@127.0.0.1:9")

    assert "hunter2" not in repr(way_to("http://hub.example.org/"))
