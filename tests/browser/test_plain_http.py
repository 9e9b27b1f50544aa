"""A real browser over plain http to a host name, where it tells servers less about a request's origin."""

import logging
import re
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, expect

from hublaunch.settings import Settings
from tests.browser.conftest import ELSEWHERE, NGINX_HOST
from tests.browser.stage import Origin
from tests.chart.proxies import nginx_with
from tests.docs.pages import DOCS, blocks
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.debian import explained
from tests.support.processes import free_port
from tests.support.served import IMAGE, Service, serve

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="session")]

LOAD_BUILD = {
    "fetch": """(url) => fetch(url, {mode: "no-cors", headers: {Accept: "text/event-stream"}}).then(
        (answer) => answer.body?.cancel(), () => undefined)""",
    "EventSource": """(url) => new Promise((resolve) => {
        const source = new EventSource(url);
        source.onerror = source.onopen = () => { source.close(); resolve(); };
    })""",
}


@pytest_asyncio.fixture(loop_scope="session")
async def hub() -> AsyncGenerator[FakeHub]:
    """A Hub whose servers never become ready."""
    async with FakeHub() as hub:
        hub.slow_spawn_timeout = 0
        hub.spawn_plan(None, SpawnPlan(never=True))
        yield hub


@pytest_asyncio.fixture(loop_scope="session")
async def service(hub: FakeHub, tmp_path: Path) -> AsyncGenerator[Service]:
    settings = Settings(
        hub_url=hub.url,
        hub_api_token=hub.api_token,
        database_url=f"sqlite:///{tmp_path}/hublaunch.sqlite",
        allowed_images=("*",),
        allowed_hosts=("127.0.0.1", NGINX_HOST),
        prefix="/launch",
        binder_images={"gh/*/*/*": IMAGE},
    )
    async with serve(settings) as service:
        yield service


async def test_our_own_page_launches_behind_the_documented_nginx(
    context: BrowserContext, service: Service, hub: FakeHub
) -> None:
    [block] = [block for block in blocks(DOCS / "behind-a-proxy.md") if block.language == "nginx"]
    port = free_port()
    server = block.text.replace("8083", str(service.http.base_url.port)).replace("listen 8080", f"listen {port}")
    with explained():
        async with nginx_with(server, port):
            page = await context.new_page()
            await page.goto(f"http://{NGINX_HOST}:{port}/launch/?image={IMAGE}")
            assert not await page.evaluate("isSecureContext")

            await page.get_by_role("button", name="Launch", exact=True).click()

            await expect(page).to_have_url(re.compile(r"/launch/launch/[0-9A-Z]{26}/view"))

    assert hub.count("user_created") == 1


@pytest.mark.parametrize("way", LOAD_BUILD)
@pytest.mark.parametrize("host", ["127.0.0.1", NGINX_HOST])
async def test_a_page_of_another_origin_starts_no_build(
    context: BrowserContext,
    service: Service,
    hub: FakeHub,
    elsewhere: Origin,
    caplog: pytest.LogCaptureFixture,
    way: str,
    host: str,
) -> None:
    caplog.set_level(logging.INFO, "hublaunch.access")
    elsewhere.put("/evil", "<!doctype html><title>Elsewhere</title>")
    elsewhere.put("/silent", '<!doctype html><meta name="referrer" content="no-referrer"><title>Elsewhere</title>')
    page = await context.new_page()
    url = f"http://{host}:{service.http.base_url.port}/launch/build/gh/org/repo/main"

    for path in ("evil", "silent"):
        await page.goto(f"http://{ELSEWHERE}:{elsewhere.port}/{path}")
        await page.evaluate(LOAD_BUILD[way], url)

    assert [message.partition(" 403 ")[2].split()[0] for message in caplog.messages if "/build/" in message] == [
        "foreign_origin",
        "foreign_origin",
    ]
    assert hub.count("user_created") == 0
