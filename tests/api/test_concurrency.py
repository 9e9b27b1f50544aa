"""The limits on requests at once and on the event streams of one address."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from ipaddress import ip_network

import httpx
import pytest

from hublaunch.api.middleware.bodies import UNFINISHED_MAX_BYTES_ADDRESS
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.served import BODY, Service, serve

STREAMS, REQUESTS = 4, 8
"""Streams of one address and requests in all, with 16 connections."""


@pytest.fixture
async def few_connections(settings: Settings, hub: FakeHub) -> AsyncGenerator[Service]:
    """A service with few connections behind a proxy. Its launches never end."""
    hub.spawn_plan(None, SpawnPlan(never=True))
    given = {"max_connections": 16, "trusted_proxies": (ip_network("127.0.0.1"),)}
    async with serve(settings.model_copy(update=given)) as service:
        yield service


async def streams(stack: AsyncExitStack, service: Service, url: str, *addresses: str) -> list[httpx.Response]:
    """Open a stream for each address."""
    asked = [service.http.stream("GET", url, headers={"X-Forwarded-For": address}) for address in addresses]
    return [await stack.enter_async_context(stream) for stream in asked]


async def test_the_limit_on_streams_is_for_one_address(
    few_connections: Service, caplog: pytest.LogCaptureFixture
) -> None:
    accepted = await few_connections.launch()
    url, own = accepted["events_url"], {"X-Forwarded-For": "192.0.2.1"}
    async with AsyncExitStack() as stack:
        held = await streams(stack, few_connections, url, *["192.0.2.1"] * STREAMS)

        refused = await few_connections.http.get(url, headers=own)
        as_post = await few_connections.http.post("/launch", json=BODY, headers={"Accept": "Text/Event-Stream", **own})
        [other] = await streams(stack, few_connections, url, "192.0.2.2")
        look = await few_connections.http.get(f"/launch/{accepted['id']}", headers=own)
        launch = await few_connections.http.post("/launch", json=BODY, headers=own)

    assert {stream.status_code for stream in [*held, other]} == {200}
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_streams")
    assert refused.headers["Retry-After"] == "30"
    assert as_post.status_code == 429
    assert (look.status_code, launch.status_code) == (200, 202)
    assert len([message for message in caplog.messages if "LAUNCHER_MAX_STREAMS_ADDRESS" in message]) == 1


async def test_an_ended_stream_frees_its_place(few_connections: Service) -> None:
    url = (await few_connections.launch())["events_url"]
    async with AsyncExitStack() as stack:
        await streams(stack, few_connections, url, *["192.0.2.1"] * STREAMS)
    async with asyncio.timeout(10):
        while (await _status_of_stream(few_connections, url)) != 200:  # the service notices the end a moment later
            pass


async def _status_of_stream(service: Service, url: str) -> int:
    async with service.http.stream("GET", url, headers={"X-Forwarded-For": "192.0.2.1"}) as stream:
        return stream.status_code


async def test_an_ipv6_64_counts_as_one_address(few_connections: Service) -> None:
    url = (await few_connections.launch())["events_url"]
    async with AsyncExitStack() as stack:
        addresses = [f"2001:db8::{number}" for number in range(STREAMS + 1)]

        *_, last = await streams(stack, few_connections, url, *addresses)

    assert last.status_code == 429


async def test_at_the_limit_of_requests_only_health_checks_are_answered(few_connections: Service) -> None:
    url = (await few_connections.launch())["events_url"]
    async with AsyncExitStack() as stack:
        held = await streams(
            stack, few_connections, url, *["192.0.2.1"] * STREAMS, *["192.0.2.2"] * (REQUESTS - STREAMS)
        )
        assert [stream.status_code for stream in held] == [200] * REQUESTS

        refused = await few_connections.http.get("/session")
        healthy = await few_connections.http.get("/healthz")

    assert (refused.status_code, refused.json()["code"]) == (503, "too_many_requests")
    assert refused.headers["Retry-After"] == "5"
    assert healthy.status_code == 200


async def half_sent(stack: AsyncExitStack, service: Service) -> asyncio.StreamReader:
    """Send most of a large body and return the reader of the answer."""
    url = service.http.base_url
    reader, writer = await asyncio.open_connection(url.host, url.port)
    stack.callback(writer.close)
    head = (
        f"POST /launch HTTP/1.1\r\nHost: {url.host}\r\nContent-Type: application/json\r\nContent-Length: 64000\r\n\r\n"
    )
    writer.write(head.encode() + b" " * 63_999)
    await writer.drain()
    return reader


async def test_unfinished_bodies_of_one_address_are_limited_and_whole_bodies_still_accepted(service: Service) -> None:
    async with AsyncExitStack() as stack:
        readers = [await half_sent(stack, service) for _ in range(UNFINISHED_MAX_BYTES_ADDRESS // 63_999 + 2)]
        answers = [asyncio.create_task(reader.readline()) for reader in readers]
        answered, waiting = await asyncio.wait(answers, timeout=20, return_when=asyncio.FIRST_COMPLETED)
        launch = await service.http.post("/launch", json=BODY)
        for answer in waiting:
            answer.cancel()

    assert {answer.result() for answer in answered} == {b"HTTP/1.1 503 Service Unavailable\r\n"}
    assert launch.status_code == 202
