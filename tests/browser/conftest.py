"""A real browser, and a real Hub that starts hublaunch as its service."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, async_playwright

from tests.browser.chromium import NoBrowser, chromium
from tests.hubs.managed import ManagedHub, managed_hub

ELSEWHERE = "elsewhere.test"
"""A name under which the browser finds this machine; any other leads nowhere."""
ARGUMENTS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncGenerator[Browser]:
    try:
        path = await asyncio.to_thread(chromium)
    except NoBrowser as error:
        pytest.fail(str(error), pytrace=False)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def context(browser: Browser) -> AsyncGenerator[BrowserContext]:
    """A browser that nobody has used before."""
    context = await browser.new_context()
    context.set_default_timeout(20_000)
    yield context
    await context.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def managed(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[ManagedHub]:
    """A Hub that starts hublaunch itself."""
    async with managed_hub(tmp_path_factory.mktemp("hub")) as hub:
        yield hub
