"""The page while the service cannot be reached."""

import asyncio
import re
import time
from urllib.parse import urlsplit

import pytest
from playwright.async_api import BrowserContext, Page, Route, expect

from tests.browser.stage import Stage, repo
from tests.browser.test_page import launch_by_link
from tests.hubs.mortal import HELD
from tests.hubs.quick_server import GATED_IMAGE
from tests.support.relay import Relay

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="session")]

CLOSED = "2"
"""Values of an EventSource's `readyState`."""
LAUNCH_OR_EVENTS = re.compile(r"/launch/\w{26}(/events.*)?$")


async def test_offline_before_acceptance_the_page_does_not_promise_that_the_launch_continues(
    page: Page, context: BrowserContext, stage: Stage
) -> None:
    await page.goto(stage.link("unasked"))
    await context.set_offline(True)

    await page.get_by_role("button", name="Launch", exact=True).click()

    note = page.get_by_text("You are offline. This page continues when you are back online.")
    await expect(note.first).to_be_visible()
    await expect(page.get_by_text("The launch continues")).to_have_count(0)
    await context.set_offline(False)
    stage.hub.open_gate(await stage.spawning("unasked"))
    await expect(page).to_have_url(re.compile("/user/tests-unasked-"))


async def test_the_note_follows_the_connection_as_it_changes(page: Page, context: BrowserContext, stage: Stage) -> None:
    user = await launch_by_link(page, stage, "note")
    await page.route(LAUNCH_OR_EVENTS, lambda route: route.abort())
    await page.evaluate("window.dispatchEvent(new Event('offline'))")  # the element connects again, in vain

    await expect(page.get_by_text("Connection lost. Reconnecting…").first).to_be_visible()
    await context.set_offline(True)
    await expect(page.get_by_text("You are offline. The launch continues").first).to_be_visible()
    await context.set_offline(False)
    await expect(page.get_by_text("Connection lost. Reconnecting…").first).to_be_visible()
    await page.unroute_all()
    await expect(page.get_by_text("Connection lost. Reconnecting…")).to_have_count(0)

    stage.hub.open_gate(user)
    await expect(page).to_have_url(re.compile(rf"/user/{user}/"))


async def test_once_the_service_is_back_the_stream_is_opened_at_once(page: Page, stage: Stage) -> None:
    """Firefox does so: one failed reconnection closes an EventSource of another origin for good."""
    user = await launch_by_link(page, stage, "outage")
    statuses = iter([503] * 6)
    answered_at: list[float] = []
    opened_at: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def be_away(route: Route) -> None:
        status = next(statuses, None)
        if status is not None:
            await route.fulfill(status=status, content_type="text/html", body="<h1>Service Unavailable</h1>")
            return
        if "/events" not in route.request.url:
            answered_at.append(time.monotonic())
        elif not opened_at.done():
            opened_at.set_result(time.monotonic())
        await route.fallback()

    await page.route(LAUNCH_OR_EVENTS, be_away)
    await page.evaluate("window.dispatchEvent(new Event('offline'))")
    async with asyncio.timeout(60):
        opened = await opened_at

    assert opened - answered_at[0] < 3  # the pause between two requests was at least 6 s by then
    await expect(page.get_by_text(HELD).first).to_be_visible()
    stage.hub.open_gate(user)
    await expect(page).to_have_url(re.compile(rf"/user/{user}/"))


_FOLLOW = """async ({url, image, repo_url}) => {
    const body = JSON.stringify({image, repo_url});
    const answer = await fetch(url + "launch", {method: "POST", headers: {"Content-Type": "application/json"}, body});
    const source = new EventSource((await answer.json()).events_url);
    const shown = document.body.dataset;
    window.seen = [];
    shown.opened = "0";
    source.onopen = () => shown.opened++;
    source.onmessage = ({data}) => window.seen.push(JSON.parse(data));
    source.onerror = () => { shown.state = source.readyState; };
}"""


async def test_an_event_source_that_is_cut_twice_misses_and_repeats_nothing(page: Page, stage: Stage) -> None:
    async with Relay(stage.url) as relay:
        url = relay.url + urlsplit(stage.url).path
        await page.goto(url)
        await page.evaluate(_FOLLOW, {"url": url, "image": GATED_IMAGE, "repo_url": repo("cut-twice")})
        user = await stage.spawning("cut-twice")
        body = page.locator("body")
        for opened in ("1", "2"):
            await expect(body).to_have_attribute("data-opened", opened)
            relay.cut()
        await expect(body).to_have_attribute("data-opened", "3")

        stage.hub.open_gate(user)

        await expect(body).to_have_attribute("data-state", CLOSED)  # the answer 204 ends an EventSource
        seen = await page.evaluate("seen")
    assert [event["seq"] for event in seen] == list(range(1, len(seen) + 1))
    assert seen[-1]["phase"] == "ready"
