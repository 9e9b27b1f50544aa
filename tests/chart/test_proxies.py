"""Streams through nginx and Traefik, as the chart configures them. Takes minutes: `make proxy-test`."""

import asyncio
import os
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from statistics import median
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.chart.cluster import running_cluster
from tests.chart.helm import Helm
from tests.chart.proxies import HOST, Proxy, nginx
from tests.chart.traefik import GATEWAY, by_gateway, by_ingress, serve_release
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.debian import explained
from tests.support.processes import free_port, started, until_running
from tests.support.served import BODY, read_events

IDLE_S = float(os.environ.get("PROXY_TEST_IDLE_S", "300"))
FIRST_EVENT_S = 0.25
HEARTBEAT_S = 15
PROXIES = ("nginx", "traefik, kubernetesingress", "traefik, kubernetesgateway")
STREAM = {"Host": HOST, "Accept": "text/event-stream"}

pytestmark = [pytest.mark.proxy, pytest.mark.timeout(IDLE_S + 120), pytest.mark.asyncio(loop_scope="module")]


@dataclass(frozen=True)
class Front:
    """The proxies in front of hublaunch, whose Hub's spawns continue until a test ends them."""

    hub: FakeHub
    proxies: dict[str, Proxy]

    def finish_spawns(self) -> None:
        for username, server_name in self.hub.active_servers:
            if self.hub.is_spawning(username, server_name):
                self.hub.release(username, server_name)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def front(helms: dict[str, Helm], tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Front]:
    data, port = tmp_path_factory.mktemp("data"), free_port()
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(FakeHub())
        hub.slow_spawn_timeout, hub.start_timeout = 0, 3600
        hub.spawn_plan(None, SpawnPlan(never=True))
        rendered = await asyncio.to_thread(
            helms["4"].rendered,
            *("--set", f"settings.hub_url={hub.url},settings.hub_url_local={hub.url},settings.proxy_url={hub.url}"),
            *("--set", "settings.allowed_images={*},settings.launch_timeout=3600,settings.prefix=/launch/"),
            *("--set", f"httpRoute.enabled=true,httpRoute.hostnames={{{HOST}}},httpRoute.parentRefs[0].name={GATEWAY}"),
            *("--set", f"ingress.enabled=true,ingress.hosts={{{HOST}}},secretSettings.hub_api_token={hub.api_token}"),
        )
        variables = await asyncio.to_thread(rendered.environment_at, data)
        process = await stack.enter_async_context(started("hublaunch.cli", "serve", "--port", str(port), **variables))
        await until_running(process)
        cluster = await stack.enter_async_context(running_cluster())
        await serve_release(cluster, rendered, port)
        with explained():
            proxies = [
                await stack.enter_async_context(proxy)
                for proxy in (nginx(rendered, port), by_ingress(cluster, rendered), by_gateway(cluster, rendered))
            ]
        yield Front(hub, {proxy.name: proxy for proxy in proxies})


@pytest.fixture(params=PROXIES)
def proxy(front: Front, request: pytest.FixtureRequest) -> Proxy:
    return front.proxies[request.param]


def caller(proxy: Proxy) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=proxy.url, headers=STREAM, trust_env=False, timeout=2 * HEARTBEAT_S)


async def seconds_to_first_event(http: httpx.AsyncClient) -> float:
    begun = time.monotonic()
    async with http.stream("POST", "/launch/launch", json=BODY) as stream:
        await anext(read_events(stream))
        return time.monotonic() - begun


async def test_the_first_event_arrives_within_a_quarter_of_a_second(proxy: Proxy) -> None:
    async with caller(proxy) as http:
        taken = [await seconds_to_first_event(http) for _ in range(5)]

    assert median(taken) < FIRST_EVENT_S, taken


async def test_no_proxy_cuts_a_stream_without_news(front: Front) -> None:
    lines = await asyncio.gather(*(idle(proxy, front) for proxy in front.proxies.values()))

    for told in lines:
        assert told.count("event: heartbeat") >= IDLE_S // HEARTBEAT_S - 1
        assert '"phase":"ready"' in told[-1]


async def idle(proxy: Proxy, front: Front) -> list[str]:
    """Return all lines of one stream on one connection: silent for the idle time, then until its end."""
    until = time.monotonic() + IDLE_S
    told = []
    async with caller(proxy) as http, http.stream("POST", "/launch/launch", json=BODY) as stream:
        async for line in stream.aiter_lines():
            if line.startswith(("event: ", "data: {")) and line != "data: {}":
                told.append(line)
            if time.monotonic() > until:
                front.finish_spawns()
    return told


async def test_a_stream_resumes_where_it_was_after_its_proxy_died_and_restarted(front: Front, proxy: Proxy) -> None:
    headers = STREAM | {"Accept": "application/json"}
    async with caller(proxy) as http:
        accepted = (await http.post("/launch/launch", json=BODY, headers=headers)).json()
        first = await events_until_cut(http, accepted, proxy)
        await proxy.start()
        front.finish_spawns()

        last_id = {"Last-Event-ID": str(first[-1]["seq"])}
        async with http.stream("GET", accepted["events_url"], headers=last_id) as stream:
            rest = [event async for event in read_events(stream)]

    assert [event["seq"] for event in (*first, *rest)] == list(range(1, len(first) + len(rest) + 1))
    assert rest[-1]["phase"] == "ready"


async def events_until_cut(http: httpx.AsyncClient, accepted: dict[str, Any], proxy: Proxy) -> list[dict[str, Any]]:
    """Kill the proxy once the Hub has begun the spawn, and return the events until then."""
    events: list[dict[str, Any]] = []
    try:
        async with http.stream("GET", accepted["events_url"]) as stream:
            async for event in read_events(stream):
                events.append(event)
                if event["message"] == "Spawning server...":
                    await proxy.kill()
    except httpx.TransportError:
        return events
    pytest.fail("the stream ended without an error")
