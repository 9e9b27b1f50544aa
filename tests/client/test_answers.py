"""LaunchClient on a service that falls silent, and on a server that is not hublaunch."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager

import pytest

from hublaunch.client import LaunchClient, ServiceUnavailable, UnexpectedAnswer
from hublaunch.client.event_stream import RETRY_MAX_S, EventStream
from hublaunch.client.patience import Patience
from tests.client.worlds import followed
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.fakes.wire import WireConnection, WireServer
from tests.support.relay import Relay
from tests.support.served import IMAGE, Service

NOBODYS = "01JDB9Z3N8Q4V7R2M5X6C1T0YK"
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


@asynccontextmanager
async def client_of(*answers: bytes) -> AsyncGenerator[tuple[LaunchClient, WireServer]]:
    """Yield a client of a server that sends each connection the next of these answers, and further ones the last."""
    left = list(answers)

    async def script(connection: WireConnection) -> None:
        await connection.read_request()
        await connection.send(left.pop(0) if len(left) > 1 else left[0])

    async with WireServer(script) as wire, LaunchClient(wire.url) as launcher:
        yield launcher, wire


def answer(status: str, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def problem(status: str, *headers: str) -> bytes:
    body = json.dumps({"code": "queue_full", "title": "Too many", "detail": "", "advice": "Wait."}).encode()
    return answer(status, body, "Content-Type: application/problem+json", *headers)


SESSION = answer("200 OK", b'{"kind": "hub", "name": "ada", "is_admin": false}', "Content-Type: application/json")
EVENT = {"launch_id": NOBODYS, "seq": 1, "at": "2026-11-23T08:00:00.000Z", "phase": "failed", "message": "m"}
LAST = json.dumps(EVENT | {"progress": 0, "attempt": 1, "a_later_field": {"x": 1}}).encode()


@pytest.fixture
async def relay(service: Service) -> AsyncGenerator[Relay]:
    async with Relay(str(service.http.base_url)) as relay:
        yield relay


async def test_a_silent_stream_is_replaced(relay: Relay, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(messages=["Pulling"], never=True))
    async with LaunchClient(relay.url, silence_s=0.3) as launcher:
        launch = await launcher.launch(IMAGE)

        async with asyncio.timeout(20), aclosing(launcher.follow(launch.id)) as events:
            async for event in events:
                if event.message == "Pulling":
                    relay.silence()
                    hub.release(next(iter(hub.users)))

    assert event.phase == "ready"


async def test_a_cancellation_that_takes_long_is_left_to_the_service(relay: Relay, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    async with LaunchClient(relay.url, patience_s=0.5) as launcher:
        launch = await launcher.launch(IMAGE)
        await hub.until(lambda: hub.active_servers)
        await hub.kill()

        assert not await launcher.cancel(launch.id)

        await hub.start_again()
        assert (await followed(launcher, launch.id))[-1].phase == "cancelled"


@pytest.mark.parametrize(
    "fault",
    [
        problem("503 No", "Retry-After: 0"),
        problem("429 No", "Retry-After: 0"),
        answer("502 Bad Gateway", b"<html>", "Content-Type: text/html"),
    ],
)
async def test_a_passing_fault_is_retried(fault: bytes) -> None:
    async with client_of(fault, SESSION) as (launcher, wire):
        session = await launcher.session()

    assert session.name == "ada"
    assert len(wire.requests) == 2


async def test_a_retry_after_beyond_the_patience_raises_immediately() -> None:
    async with client_of(problem("503 No", "Retry-After: 3600")) as (launcher, wire):
        with pytest.raises(ServiceUnavailable) as refusal:
            await launcher.session()

    assert refusal.value.retry_after_s == 3600
    assert len(wire.requests) == 1


@pytest.mark.parametrize(
    "sent",
    [
        answer("200 OK", b"<html>Welcome", "Content-Type: text/html"),
        answer("200 OK", b'"text"', "Content-Type: application/json"),
        answer("200 OK", b'{"kind": 1', "Content-Type: application/json"),
        answer("200 OK", b'{"name": "ada"}', "Content-Type: application/json"),
        answer("200 OK", b'{"kind": 1}', "Content-Type: application/json"),
        answer("302 Found", b"", "Location: https://login.example.org/"),
        answer("404 Not Found", b"<html>", "Content-Type: text/html"),
        answer("404 Not Found", b"[]", "Content-Type: application/problem+json"),
        answer("599 What", b""),
    ],
)
async def test_an_answer_that_is_not_hublaunchs_raises(sent: bytes) -> None:
    async with client_of(sent) as (launcher, wire):
        with pytest.raises(UnexpectedAnswer, match="not hublaunch"):
            await launcher.session()
        assert len(wire.requests) == 1


@pytest.mark.parametrize(
    "sent",
    [
        answer("200 OK", b"data: {}\n\n", "Content-Type: text/html"),
        STREAM_HEAD + b"data: {}\n\n",
        STREAM_HEAD + b"data: no JSON\n\n",
        STREAM_HEAD + b"data: " + LAST.replace(b"2026-11-23T08", b"2026-11-23X99") + b"\n\n",
        STREAM_HEAD + b"data: " + LAST.replace(b'"seq": 1', b'"seq": null') + b"\n\n",
        STREAM_HEAD + b"data: " + LAST.replace(b'"attempt": 1', b'"problem": 1, "attempt": 1') + b"\n\n",
        STREAM_HEAD + b"event: position\ndata: []\n\n",
        STREAM_HEAD + b"data: " + b"x" * 1_100_000,
    ],
)
async def test_an_unreadable_stream_raises(sent: bytes) -> None:
    async with client_of(sent) as (launcher, _):
        with pytest.raises(UnexpectedAnswer):
            await followed(launcher, NOBODYS)


async def test_unknown_events_and_fields_are_ignored() -> None:
    later = b"event: weather\ndata: {}\n\n: comment\n\nnew: field\n\n"
    async with client_of(STREAM_HEAD + later + b"data: " + LAST + b"\n\n") as (launcher, _):
        (event,) = await followed(launcher, NOBODYS)

    assert event.phase == "failed"
    assert event.shown["a_later_field"] == {"x": 1}


async def test_a_problem_of_the_hub_does_not_end_a_stream() -> None:
    """A 502 with a problem says nothing about the launch, which goes on."""
    unsure = problem("502 Bad Gateway")
    async with client_of(unsure, unsure, STREAM_HEAD + b"data: " + LAST + b"\n\n") as (launcher, _):
        (event,) = await followed(launcher, NOBODYS)

    assert event.phase == "failed"


async def test_a_stream_that_ends_too_soon_is_resumed_after_its_retry_time() -> None:
    begin = LAST.replace(b'"failed"', b'"waiting"')
    first = STREAM_HEAD + b"retry: 0\ndata: " + begin + b"\n\n"
    rest = STREAM_HEAD + b"data: " + LAST.replace(b'"seq": 1', b'"seq": 2') + b"\n\n"
    async with client_of(first, rest) as (launcher, wire):
        events = await followed(launcher, NOBODYS)

    assert [event.seq for event in events] == [1, 2]
    assert b"last-event-id: 1" in wire.requests[1].lower()


@pytest.mark.parametrize("retry", [b"0", b"9" * 400, b"9" * 9000])
def test_a_retry_time_of_any_length_is_bounded(retry: bytes) -> None:
    stream = EventStream()

    assert list(stream.feed(b"retry: " + retry + b"\n\n")) == []

    assert stream.retry_s is not None
    assert 0 <= stream.retry_s <= RETRY_MAX_S


async def test_a_retry_after_of_zero_still_pauses() -> None:
    patience, loop = Patience(60), asyncio.get_running_loop()
    began = loop.time()

    assert await patience.pause(0)

    assert loop.time() - began > 0.2


async def test_an_impossible_cursor_is_ignored() -> None:
    head = STREAM_HEAD.replace(b"Connection", b"X-Launch-Cursor: " + b"9" * 5000 + b"\r\nConnection")
    async with client_of(head + b"data: " + LAST + b"\n\n") as (launcher, _):
        events = await followed(launcher, NOBODYS)

    assert [event.seq for event in events] == [1]
