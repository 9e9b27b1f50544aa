"""LaunchClient as its users know it: both clients, on the real service and on `hublaunch.testing`'s fake."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from ulid import ULID

from hublaunch.client import (
    InvalidRequest,
    LaunchClient,
    LaunchEvent,
    LaunchNotFound,
    Position,
    Refused,
    Unauthenticated,
    Unreachable,
)
from hublaunch.client.environment import way_to
from tests.client.worlds import Client, Connect, World, followed
from tests.support.served import IMAGE, REPO

NOBODYS = str(ULID())


async def test_a_launch_is_followed_from_waiting_to_ready(client: Client, world: World) -> None:
    world.plan(messages=("Pulling",))

    launch = await client.launch(IMAGE, repo_url=REPO, ref="v1", path="lab/tree/x.ipynb")
    events = await followed(client, launch.id)

    assert (launch.status, launch.image, launch.ref, launch.has_ended) == ("waiting", IMAGE, "v1", False)
    assert datetime.now(UTC) - launch.created_at < timedelta(seconds=20)
    assert [event.at for event in events] == sorted(event.at for event in events)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert (events[0].phase, events[-1].phase) == ("waiting", "ready")
    assert "Pulling" in [event.message for event in events]
    assert events[-1].is_last
    assert events[-1].open_url == f"{events[-1].url}lab/tree/x.ipynb?token={events[-1].token}"
    assert events[-1].token_expires_at is not None


async def test_a_failed_launch_says_why_and_what_to_do(client: Client, world: World) -> None:
    world.plan(fails="image pull failed")
    launch = await client.launch(IMAGE)

    failed = (await followed(client, launch.id))[-1]

    assert failed.problem
    assert (failed.phase, failed.problem.code, failed.problem.detail) == ("failed", "spawn_failed", "image pull failed")
    assert failed.problem.advice


async def test_the_client_keeps_the_secret_and_sees_private_fields(client: Client, connect: Connect) -> None:
    launch = await client.launch(IMAGE)
    await followed(client, launch.id)

    seen = await client.get(launch.id)
    async with connect() as other:
        public = await other.get(launch.id)
    async with connect(launch_secrets={launch.id: launch.secret or ""}) as later:
        private = await later.get(launch.id)

    assert seen.token
    assert private == seen
    assert (public.status, public.token, public.image) == ("ready", None, None)


async def test_an_environment_and_a_size_are_launched_by_name(client: Client) -> None:
    offered = await client.catalogue()
    (scipy,) = offered.environments

    by_default = await client.launch(environment="scipy", repo_url=REPO)
    large = await client.launch(environment="scipy", size="large", repo_url=REPO)

    assert (scipy.name, [size.name for size in scipy.sizes]) == ("scipy", ["small", "large"])
    assert scipy.sizes[1].title == "Large"
    assert (by_default.environment, by_default.size, by_default.image) == ("scipy", "small", scipy.image)
    assert (large.environment, large.size) == ("scipy", "large")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"environment": "scypi"}, r"environment: .* Did you mean scipy\?"),
        ({"environment": "scipy", "size": "smaal"}, r"size: .* Did you mean small\?"),
        ({"environment": "scipy", "image": IMAGE}, "environment: .* together"),
        ({"image": IMAGE, "size": "small"}, "size: .* together"),
        ({}, "image: "),
    ],
)
async def test_a_name_that_the_catalogue_lacks_is_refused_with_the_nearest_one(
    client: Client, asked: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidRequest, match=words) as refusal:
        await client.launch(**asked)

    assert refusal.value.problem.errors[0]["field"] in words


async def test_no_repr_contains_a_secret(client: Client) -> None:
    launch = await client.launch(IMAGE)

    ready = (await followed(client, launch.id))[-1]

    for text in (repr(launch), repr(ready), repr(await client.get(launch.id))):
        assert ready.token
        assert launch.secret
        assert ready.token not in text
        assert launch.secret not in text


async def test_events_are_followed_from_a_number_on(client: Client) -> None:
    launch = await client.launch(IMAGE)
    whole = await followed(client, launch.id)

    assert await followed(client, launch.id, after=1) == whole[1:]
    assert await followed(client, launch.id, after=whole[-1].seq) == []
    assert await followed(client, launch.id, after=99) == whole


async def test_positions_in_the_queue_go_to_the_callback(client: Client, world: World) -> None:
    await world.fill()
    launch = await client.launch(IMAGE)
    positions: list[Position] = []

    def release_once(position: Position) -> None:
        positions.append(position)
        if len(positions) == 1:
            world.release()

    async with asyncio.timeout(20):
        phases = [event.phase async for event in client.follow(launch.id, on_position=release_once)]

    assert (phases[0], phases[-1]) == ("waiting", "ready")
    assert (positions[0].position, positions[0].queue_size, positions[-1].position) == (1, 1, 0)


async def test_a_launch_is_cancelled(client: Client, world: World) -> None:
    world.plan(holds=True)
    launch = await client.launch(IMAGE)
    await world.until_held()

    assert await client.cancel(launch.id)

    assert (await client.get(launch.id)).status == "cancelled"


async def test_leaving_the_loop_does_not_cancel_the_launch(client: Client, world: World) -> None:
    world.plan(holds=True)
    launch = await client.launch(IMAGE)

    async with aclosing(client.follow(launch.id)) as events:
        first = await anext(events)
    await world.until_held()
    world.release()

    assert first.phase == "waiting"
    assert (await followed(client, launch.id))[-1].phase == "ready"


async def test_a_token_brings_a_name_and_a_list_over_several_pages(connect: Connect, world: World) -> None:
    async with connect(token=world.token) as client:
        launches = [await client.launch(IMAGE) for _ in range(3)]

        session = await client.session()
        listed = [launch.id async for launch in client.launches(limit="2")]
    headers = {"Authorization": f"Bearer {world.token}"}
    async with httpx.AsyncClient(base_url=world.url, transport=world.transport, headers=headers) as http:
        page = (await http.get("launch", params={"limit": 2})).json()

    assert page["next"] == f"?limit=2&cursor={launches[1].id}"
    assert (session.kind, session.name, session.is_admin) == ("key", "ada", False)
    assert listed == [launch.id for launch in reversed(launches)]


async def test_a_running_launch_is_reused_or_refused(connect: Connect, world: World) -> None:
    async with connect(token=world.token) as client:
        first = await client.launch(IMAGE)
        again = await client.launch(IMAGE, if_running="reuse")
        with pytest.raises(Refused) as refusal:
            await client.launch(IMAGE, if_running="refuse")

    assert again.id == first.id
    assert (refusal.value.status, refusal.value.code) == (409, "already_running")


async def test_a_repeated_key_returns_the_first_launch(client: Client) -> None:
    first = await client.launch(IMAGE, idempotency_key="a-random-key-of-many-characters")

    assert (await client.launch(IMAGE, idempotency_key="a-random-key-of-many-characters")).id == first.id


@pytest.mark.parametrize(
    ("act", "kind", "code"),
    [
        (lambda client: client.launch("No Image"), InvalidRequest, "invalid_request"),
        (lambda client: client.get(NOBODYS), LaunchNotFound, "launch_not_found"),
        (lambda client: client.get("../healthz"), LaunchNotFound, "not_found"),
        (lambda client: client.cancel(NOBODYS), LaunchNotFound, "launch_not_found"),
        (lambda client: followed(client, NOBODYS), LaunchNotFound, "launch_not_found"),
        (lambda client: anext(client.launches()), Unauthenticated, "unauthenticated"),
    ],
)
async def test_a_refusal_raises_its_own_error(
    client: Client, act: Callable[[Client], object], kind: type[Refused], code: str
) -> None:
    with pytest.raises(kind) as refusal:
        await act(client)  # type: ignore[misc]

    assert refusal.value.code == code
    assert refusal.value.problem.advice in str(refusal.value)


async def test_a_wrong_token_is_refused_and_not_repeated(connect: Connect) -> None:
    async with connect(token="hunter2hunter2") as client:
        with pytest.raises(Unauthenticated) as refusal:
            await client.launch(IMAGE)

    assert "hunter2" not in str(refusal.value)


# --- broken connections -----------------------------------------------------------------------------------------------


async def test_a_broken_stream_is_resumed_after_the_last_event(client: Client, world: World) -> None:
    world.plan(messages=("Pulling",), holds=True)
    launch = await client.launch(IMAGE)
    seen: list[LaunchEvent] = []

    async with asyncio.timeout(20), aclosing(client.follow(launch.id)) as events:
        async for event in events:
            seen.append(event)
            if event.message == "Pulling":
                world.cut()
                world.release()

    assert [event.seq for event in seen] == list(range(1, len(seen) + 1))
    assert seen[-1].phase == "ready"


async def test_a_request_waits_for_a_service_that_is_down_for_a_while(client: Client, world: World) -> None:
    world.go_down()
    asyncio.get_running_loop().call_later(0.1, world.come_back)

    launch = await client.launch(IMAGE)

    assert (await followed(client, launch.id))[-1].phase == "ready"


async def test_a_lost_answer_is_requested_again_and_launches_once(connect: Connect, world: World) -> None:
    async with connect(token=world.token) as client:
        world.lose_answers(2)
        launch = await client.launch(IMAGE)

        assert [each.id async for each in client.launches()] == [launch.id]


async def test_a_service_that_stays_down_is_unreachable(connect: Connect, world: World) -> None:
    world.plan(holds=True)
    async with connect(patience_s=0.2) as client:
        launch = await client.launch(IMAGE)
        async with aclosing(client.follow(launch.id)) as events:
            await anext(events)
            world.go_down()

            with pytest.raises(Unreachable) as fault:
                _ = [event async for event in events]

    assert world.url in str(fault.value)
    assert launch.secret
    assert launch.secret not in str(fault.value)


# --- without a service ------------------------------------------------------------------------------------------------


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
def test_an_invalid_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="address of the service") as refusal:
        LaunchClient(url)

    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("token", ["", "a b", "a\n", "ü"])
def test_an_invalid_token_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match="token"):
        LaunchClient("http://127.0.0.1", token=token)


async def test_a_given_transport_is_used_despite_a_proxy_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    transport = httpx.MockTransport(lambda _: httpx.Response(204))

    async with LaunchClient("http://hub.example.org/", transport=transport, patience_s=0) as client:
        assert await client.cancel(NOBODYS)


def test_the_repr_of_a_way_has_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://ada:hunter2@127.0.0.1:9")

    assert "hunter2" not in repr(way_to("http://hub.example.org/"))
