"""A visitor's walk in Firefox: launch, a killed and restarted service, the server, and Back."""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, Page, async_playwright, expect

from tests.browser.conftest import WITHIN_MS
from tests.browser.firefox import firefox
from tests.browser.firefox_relay import write_program
from tests.browser.stage import HELD, Stage, watch
from tests.hubs.mortal import MortalHub
from tests.support.debian import explained
from tests.support.processes import free_port, replica

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="session")]


@asynccontextmanager
async def opened(directory: Path, *, stores: bool) -> AsyncGenerator[BrowserContext]:
    """A fresh Firefox, which denies pages all storage unless it `stores`."""
    preferences: dict[str, str | float | bool] = {"browser.sessionhistory.max_total_viewers": 0}
    if not stores:
        preferences |= {"network.cookie.cookieBehavior": 2, "dom.storage.enabled": False}
    with explained():
        await asyncio.to_thread(firefox)
    expect.set_options(timeout=WITHIN_MS)
    async with async_playwright() as playwright:
        browser = await playwright.firefox.launch(
            channel="moz-firefox", executable_path=write_program(directory), firefox_user_prefs=preferences
        )
        context = await browser.new_context()
        context.set_default_timeout(WITHIN_MS)
        yield context
        await browser.close()


async def has_storage(page: Page) -> bool:
    return bool(await page.evaluate("() => { try { return Boolean(window.localStorage); } catch { return false; } }"))


@pytest.mark.parametrize("stores", [True, False], ids=["storage", "no-storage"])
async def test_in_firefox_a_visitor_launches_through_a_restart_of_the_service_enters_and_comes_back(
    hub_with_gates: MortalHub, tmp_path: Path, stores: bool
) -> None:
    name = f"firefox-{'on' if stores else 'off'}"
    database, port = f"sqlite:///{tmp_path}/hublaunch.sqlite", free_port()
    stage = Stage(hub_with_gates, f"http://127.0.0.1:{port}/")
    async with opened(tmp_path, stores=stores) as context:
        page = await context.new_page()
        complaints = watch(page)
        async with replica(hub_with_gates, database, port) as service:
            await page.goto(stage.link(name))
            assert await has_storage(page) is stores
            await page.get_by_role("button", name="Launch", exact=True).click()
            user = await stage.spawning(name)
            await expect(page.get_by_text(HELD).first).to_be_visible()
            assert complaints == []
            await service.kill()
        async with replica(hub_with_gates, database, port):
            stage.hub.open_gate(user)
            await expect(page).to_have_url(re.compile(rf"/user/{user}/"), timeout=60_000)

            await page.go_back()

            if stores:
                await expect(page.get_by_role("link", name="Open server")).to_be_visible()
            else:  # the page has forgotten the launch, and starts nothing by itself
                await expect(page.get_by_role("button", name="Launch", exact=True)).to_be_visible()
            assert await stage.users(name) == [user]
