"""The event streams as npm's clients read them: cut in the middle, they miss and repeat nothing."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.node import running
from tests.support.relay import Relay
from tests.support.served import Service


@pytest.fixture
async def relay(service: Service) -> AsyncGenerator[Relay]:
    async with Relay(str(service.http.base_url)) as relay:
        yield relay


async def json_lines(output: asyncio.StreamReader) -> AsyncGenerator[dict[str, Any]]:
    async with asyncio.timeout(30):
        async for line in output:
            yield json.loads(line)


@pytest.mark.parametrize("client", ["follow_event_source.mjs", "follow_fetch.mjs"])
async def test_a_launch_is_followed_over_a_cut_to_its_end(
    service: Service, relay: Relay, hub: FakeHub, client: str
) -> None:
    hub.spawn_plan(None, SpawnPlan(messages=["Pulling"], never=True))
    accepted = await service.launch()
    events_url = relay.url + accepted["events_url"]
    seen = []

    async with running(client, events_url, accepted["secret"]) as output:
        async for event in json_lines(output):
            seen.append(event)
            if event.get("message") == "Pulling":
                (user,) = hub.users
                relay.cut()
                hub.report(user, "Half way", progress=50)
                hub.release(user)

    *events, last = seen
    assert last == {"closed": 204}, "a client that is left to itself stops once everything was delivered"
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert [event["id"] for event in events] == [str(event["seq"]) for event in events]
    assert [event["message"] for event in events][-3:] == ["Pulling", "Half way", "The server is ready"]
    assert events[-1]["token"] in events[-1]["open_url"]
    assert relay.connections >= 2
