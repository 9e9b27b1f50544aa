"""Pages restored from the bfcache, as WebKit and Firefox restore them: they may show another visitor's launch.

Playwright switches Chromium's bfcache off, so the tests send the page the events that such a browser sends.
"""

import re

import pytest
from playwright.async_api import BrowserContext, Page, expect

from tests.browser.stage import Origin, Stage, repo
from tests.browser.test_element import element_events, embed, stop
from tests.browser.test_login import ALICE, CANCEL, PREFIX, log_in
from tests.hubs.managed import IMAGE, ManagedHub
from tests.hubs.quick_server import GATED_IMAGE

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="session")]

LEAVE = "window.dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))"
COME_BACK = "window.dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))"
END_SESSION = f"async () => (await fetch('{PREFIX}/session', {{method: 'DELETE'}})).status"


async def test_the_back_button_restores_the_form(page: Page, stage: Stage) -> None:
    await page.goto(stage.link("left"))
    await page.get_by_role("button", name="Change").click()
    await page.get_by_label("Repository").fill(repo("changed"))

    await page.evaluate(LEAVE)
    await page.evaluate(COME_BACK)
    await page.evaluate("document.getElementById('form').reset()")  # what WebKit does to fields without autocomplete

    await expect(page.get_by_label("Image")).to_have_value(GATED_IMAGE)
    await expect(page.get_by_label("Repository")).to_have_value(repo("changed"))
    await expect(page.get_by_text("A link has filled in this form.")).to_be_visible()


async def test_a_launch_page_restored_after_a_logout_shows_neither_the_name_nor_the_way_in(
    context: BrowserContext, managed: ManagedHub
) -> None:
    page = await log_in(context, managed, ALICE)
    home = f"{managed.url}services/launcher/"
    await page.goto(f"{home}?image={IMAGE}")
    await page.get_by_role("button", name="Launch", exact=True).click()
    await expect(page).to_have_url(f"{managed.url}user/{ALICE}/")
    await page.goto(home)
    await page.get_by_role("listitem").first.get_by_role("link").click()
    await expect(page.get_by_role("link", name="Open server")).to_be_visible()
    await expect(page.get_by_text(ALICE)).to_be_visible()
    launch_id = page.url.split("/")[-2]

    assert await page.evaluate(END_SESSION) == 204
    await page.evaluate(COME_BACK)

    await expect(page.get_by_text("You can follow this launch, but not open it.")).to_be_visible()
    await expect(page.get_by_text("The server is ready").first).to_be_visible()
    await expect(page.get_by_role("link", name="Open server")).to_be_hidden()
    await expect(page.get_by_text(ALICE)).to_have_count(0)
    await expect(page.get_by_text(IMAGE)).to_have_count(0)
    await expect(page).not_to_have_title(re.compile("Your server"))
    await page.goto(f"{home}oauth_login")  # the login at the Hub itself continues
    await expect(page).to_have_url(home)
    await page.evaluate(CANCEL, launch_id)


async def test_a_restored_element_learns_that_its_server_has_ended(page: Page, elsewhere: Origin, stage: Stage) -> None:
    await page.goto(embed(elsewhere, stage, "returned", attributes='open="none"'))
    await page.get_by_role("button", name="Run this chapter").click()
    stage.hub.open_gate(await stage.spawning("returned"))
    await expect(page.get_by_role("link", name="Open server")).to_be_visible()
    await stop(page, stage, next(detail for name, detail in await element_events(page) if name == "launch"))

    await page.evaluate(COME_BACK)

    await expect(page.get_by_text(re.compile("This server has stopped|The launch was cancelled")).first).to_be_visible()
    await expect(page.get_by_role("link", name="Open server")).to_be_hidden()
