"""Browsers that deny storage, locks or room: the page works without each of them, and without all."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Page, async_playwright, expect

from tests.browser.chromium import chromium
from tests.browser.conftest import ARGUMENTS, WITHIN_MS
from tests.browser.stage import HELD, Origin, Stage, watch

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="session")]

DENY = """
const deny = () => { throw new DOMException("Access is denied for this document.", "SecurityError"); };
"""
DENIED = {
    "localStorage": DENY + "Object.defineProperty(window, 'localStorage', {get: deny});",
    "sessionStorage": DENY + "Object.defineProperty(window, 'sessionStorage', {get: deny});",
    "locks": DENY + "LockManager.prototype.request = LockManager.prototype.query = async () => deny();",
    "room": """Storage.prototype.setItem = () => { throw new DOMException("It is full.", "QuotaExceededError"); };""",
}
CLAIM = """async ([module, n, at]) => {
    const {Memory} = await import(module);
    const memory = new Memory(location.origin, {image: "example.org/image:1", repoUrl: `repo-${n}`, path: ""});
    while (Date.now() < at) await new Promise((resolve) => setTimeout(resolve));
    return (await memory.claim()).key;
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def context_without_cookies(tmp_path: Path) -> AsyncGenerator[BrowserContext]:
    """A browser with all cookies blocked, and with them every other storage of a page."""
    preferences = {"profile": {"default_content_setting_values": {"cookies": 2}}}
    (tmp_path / "Default").mkdir()
    (tmp_path / "Default" / "Preferences").write_text(json.dumps(preferences))
    path = await asyncio.to_thread(chromium)
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(tmp_path, executable_path=path, args=ARGUMENTS)
        context.set_default_timeout(WITHIN_MS)
        yield context
        await context.close()


async def launch_and_get_in(page: Page, stage: Stage, name: str) -> None:
    """Follow a launch link into the server. If the tab does not go there itself, click the link to the server."""
    complaints = watch(page)
    await page.goto(stage.link(name))
    await page.get_by_role("button", name="Launch", exact=True).click()
    user = await stage.spawning(name)
    await expect(page.get_by_text(HELD).first).to_be_visible()
    stage.hub.open_gate(user)
    if name == "sessionstorage":  # the launch's page does not know that this tab asked for the launch
        await page.get_by_role("link", name="Open server").click()
    await expect(page).to_have_url(re.compile(rf"/user/{user}/"))
    assert await stage.users(name) == [user]
    assert complaints == []


@pytest.mark.parametrize("denied", DENIED)
async def test_a_visitor_launches_and_enters_with_one_storage_denied(
    context: BrowserContext, stage: Stage, denied: str
) -> None:
    await context.add_init_script(DENIED[denied])

    await launch_and_get_in(await context.new_page(), stage, denied.lower())


async def test_a_visitor_launches_and_enters_with_all_cookies_blocked(
    context_without_cookies: BrowserContext, stage: Stage
) -> None:
    page = await context_without_cookies.new_page()
    await page.goto(stage.url)
    kept = "() => { try { return typeof localStorage; } catch (error) { return error.name; } }"
    assert await page.evaluate(kept) == "SecurityError"

    await launch_and_get_in(page, stage, "nothing")


async def test_tabs_clicked_at_the_same_moment_share_one_key(
    context: BrowserContext, elsewhere: Origin, stage: Stage
) -> None:
    """Without the announced lock name, about one in five of these launches had two keys."""
    tabs = [await context.new_page() for _ in range(2)]
    module = f"{stage.url}static/element/memory.js"
    keys: list[set[str]] = []

    for tab in tabs:
        await tab.goto(f"http://127.0.0.1:{elsewhere.port}/")
    for n in range(40):
        at = await tabs[0].evaluate("Date.now() + 100")
        keys.append(set(await asyncio.gather(*(tab.evaluate(CLAIM, [module, n, at]) for tab in tabs))))

    assert [len(of_both) for of_both in keys] == [1] * 40
