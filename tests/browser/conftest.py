"""A real browser, and a real Hub that starts hublaunch as its service."""

import asyncio
import sys
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from hublaunch.demo.proxy import proxy_command, proxy_directory
from tests.browser.chromium import chromium
from tests.browser.stage import Origin, Stage, origin, watch
from tests.hubs.managed import ManagedHub, managed_hub
from tests.hubs.mortal import MortalHub
from tests.support.debian import explained
from tests.support.processes import replica

ELSEWHERE = "elsewhere.test"
NGINX_HOST = "launch.example.org"
"""Host names that the browser resolves to this machine, like those below `localhost`."""
WITHIN_MS = 20_000
"""Timeout for a page, generous because the machine may be busy."""
CLOSES_S = 20
_NAMES = f"MAP {ELSEWHERE} 127.0.0.1, MAP {NGINX_HOST} 127.0.0.1"
ARGUMENTS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--host-resolver-rules={_NAMES}, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE *.localhost",
]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncGenerator[Browser]:
    with explained():
        path = await asyncio.to_thread(chromium)
    expect.set_options(timeout=WITHIN_MS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        await browser.close()


async def close(context: BrowserContext) -> None:
    """Close the context. Chromium never answered twice in 340 tests on a busy machine: then its end closes it."""
    try:
        async with asyncio.timeout(CLOSES_S):
            await context.close()
    except TimeoutError:
        sys.stderr.write(f"Chromium did not close a context within {CLOSES_S} s\n")


@pytest_asyncio.fixture(loop_scope="session")
async def context(browser: Browser) -> AsyncGenerator[BrowserContext]:
    """A fresh browser."""
    context = await browser.new_context()
    context.set_default_timeout(WITHIN_MS)
    yield context
    await close(context)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def managed(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[ManagedHub]:
    """A Hub that starts hublaunch itself."""
    async with managed_hub(tmp_path_factory.mktemp("hub")) as hub:
        yield hub


@pytest_asyncio.fixture(loop_scope="session")
async def browser_of_another(browser: Browser) -> AsyncGenerator[BrowserContext]:
    """A browser that shares nothing with `context`."""
    context = await browser.new_context()
    context.set_default_timeout(WITHIN_MS)
    yield context
    await close(context)


@pytest_asyncio.fixture(loop_scope="session")
async def page(context: BrowserContext) -> AsyncGenerator[Page]:
    """A page of `context`, without script errors and policy violations."""
    page = await context.new_page()
    complaints = watch(page)
    yield page
    assert complaints == []


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def hub_with_gates(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[MortalHub]:
    state = tmp_path_factory.mktemp("hub-with-gates")
    proxy = await asyncio.to_thread(proxy_command, proxy_directory(state))
    async with MortalHub(state=state, proxy_command=proxy) as hub:
        yield hub


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def elsewhere() -> AsyncGenerator[Origin]:
    """A second web server with two origins: this machine's address, and a name."""
    async with origin() as served:
        yield served


@pytest_asyncio.fixture(loop_scope="session")
async def stage(whole_stage: Stage) -> AsyncGenerator[Stage]:
    """hublaunch beside a real Hub, for its own pages and those of another origin. No spawn is left pending."""
    yield whole_stage
    for user in await whole_stage.hub.users():
        whole_stage.hub.open_gate(user)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def whole_stage(
    hub_with_gates: MortalHub, elsewhere: Origin, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Stage]:
    database = f"sqlite:///{tmp_path_factory.mktemp('stage')}/hublaunch.sqlite"
    origins = f"http://127.0.0.1:{elsewhere.port},http://{ELSEWHERE}:{elsewhere.port}"
    async with replica(hub_with_gates, database, LAUNCHER_CORS_ORIGINS=origins) as served:
        yield Stage(hub_with_gates, str(served.http.base_url).rstrip("/") + "/")
