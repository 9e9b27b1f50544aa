"""The block for nginx in docs/behind-a-proxy.md, in a real nginx. `make proxy-test`."""

import asyncio
from ipaddress import ip_network

import httpx
import pytest

from hublaunch.settings import Settings
from tests.chart.proxies import HOST, nginx_with
from tests.docs.pages import DOCS, blocks
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.debian import explained
from tests.support.processes import free_port
from tests.support.served import BODY, read_events, serve

PAGE = DOCS / "behind-a-proxy.md"


@pytest.mark.proxy
async def test_a_stream_passes_without_delay(settings: Settings, hub: FakeHub) -> None:
    [block] = [block for block in blocks(PAGE) if block.language == "nginx"]
    given = {"prefix": "/launch", "allowed_hosts": (HOST,), "trusted_proxies": (ip_network("127.0.0.1"),)}
    hub.spawn_plan(None, SpawnPlan(never=True))
    port = free_port()
    async with serve(settings.model_copy(update=given)) as service:
        server = block.text.replace("8083", str(service.http.base_url.port)).replace("listen 8080", f"listen {port}")
        with explained():
            async with (
                asyncio.timeout(30),
                nginx_with(server, port) as proxy,
                httpx.AsyncClient(base_url=proxy.url, headers={"Host": HOST}, trust_env=False, timeout=15) as http,
                http.stream("POST", "/launch/launch", json=BODY, headers={"Accept": "text/event-stream"}) as stream,
            ):
                events = read_events(stream)
                # The spawn ends only once this event was seen, so nothing on the way waits for more.
                while (await anext(events))["message"] != "Server requested":
                    pass
                [(username, server_name)] = hub.active_servers
                hub.release(username, server_name)
                last = [event async for event in events][-1]

    assert last["phase"] == "ready"
