"""The page while the service or its Hub cannot be reached, or answers with a fault."""

import asyncio
import json
import re
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import BrowserContext, Page, Route, expect
from ulid import ULID

from tests.browser.stage import HELD, Stage, repo
from tests.browser.test_page import VIEW, in_server, launch_by_link
from tests.hubs.mortal import MortalHub
from tests.hubs.quick_server import GATED_IMAGE
from tests.support.processes import free_port, replica
from tests.support.relay import Relay

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="session")]

CLOSED = "2"
"""Values of an EventSource's `readyState`."""
LAUNCH_OR_EVENTS = re.compile(r"/launch/\w{26}(/events.*)?$")


async def answer_with_problem(route: Route, status: int, code: str) -> None:
    body = json.dumps({"code": code, "title": "It did not work", "status": status})
    await route.fulfill(status=status, content_type="application/problem+json", body=body)


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
    await expect(page).to_have_url(in_server(user))


async def test_once_the_service_is_back_the_stream_is_opened_immediately(page: Page, stage: Stage) -> None:
    """In Firefox one failed reconnection closes an EventSource of another origin for good, as a 503 does here."""
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
    await expect(page).to_have_url(in_server(user))


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


async def test_a_lost_answer_is_requested_again_and_is_the_same_launch(page: Page, stage: Stage) -> None:
    keys: list[str | None] = []

    async def lose_the_first(route: Route) -> None:
        keys.append(await route.request.header_value("Idempotency-Key"))
        if len(keys) == 1:
            await route.fetch()  # the service has acted, but its answer is lost
            await route.abort()
        else:
            await route.fallback()

    await page.route(f"{stage.url}launch", lose_the_first)

    user = await launch_by_link(page, stage, "lost")

    assert len(keys) == 2
    assert keys[0] == keys[1]
    stage.hub.open_gate(user)
    await expect(page).to_have_url(in_server(user))
    assert await stage.users("lost") == [user]


async def test_a_retry_after_a_fault_of_the_service_is_the_same_launch(page: Page, stage: Stage) -> None:
    asked: list[Route] = []

    async def break_the_first(route: Route) -> None:
        asked.append(route)
        if len(asked) == 1:
            await route.fetch()  # it was accepted, and then something broke
            await answer_with_problem(route, 500, "internal_error")
        else:
            await route.fallback()

    await page.route(f"{stage.url}launch", break_the_first)
    await page.goto(stage.link("broke"))
    await page.get_by_role("button", name="Launch", exact=True).click()
    await page.get_by_role("button", name="Try again").click()
    user = await stage.spawning("broke")

    stage.hub.open_gate(user)
    await expect(page).to_have_url(in_server(user))
    assert len(asked) == 2
    assert await stage.users("broke") == [user]


async def test_ten_seconds_offline_are_shown_and_then_caught_up(
    page: Page, context: BrowserContext, stage: Stage
) -> None:
    user = await launch_by_link(page, stage, "offline")

    await context.set_offline(True)
    await expect(page.get_by_text("You are offline.").first).to_be_visible()
    stage.hub.open_gate(user)
    await stage.hub.until_ready(user)
    await expect(page.get_by_role("timer")).to_have_text(re.compile(r"0:(1[1-9]|[2-5]\d)"))
    await expect(page).to_have_url(VIEW)
    await context.set_offline(False)

    await expect(page).to_have_url(in_server(user))
    assert await stage.users("offline") == [user]


async def test_a_launch_survives_a_restart_of_the_service(
    page: Page, hub_with_gates: MortalHub, tmp_path: Path
) -> None:
    port, database = free_port(), f"sqlite:///{tmp_path}/hublaunch.sqlite"
    stage = Stage(hub_with_gates, f"http://127.0.0.1:{port}/")
    async with replica(hub_with_gates, database, port) as first:
        user = await launch_by_link(page, stage, "restart")
        first.process.terminate()
        await first.process.wait()
    await expect(page.get_by_text("Connection lost. Reconnecting…").first).to_be_visible()

    async with replica(hub_with_gates, database, port):
        stage.hub.open_gate(user)
        await expect(page).to_have_url(in_server(user), timeout=40_000)

    assert await stage.users("restart") == [user]


async def test_a_hub_that_cannot_identify_the_visitor_does_not_end_the_launch(page: Page, stage: Stage) -> None:
    """The service then answers a Hub user with a 502 problem. The launch continues."""
    user = await launch_by_link(page, stage, "unsure")
    answers = iter(("events", "launch", "events", "launch"))
    is_back = asyncio.Event()

    async def be_unsure(route: Route) -> None:
        if next(answers, None) is None:
            is_back.set()
            await route.fallback()
        else:
            await answer_with_problem(route, 502, "hub_unavailable")

    await page.route(LAUNCH_OR_EVENTS, be_unsure)
    await page.evaluate("window.dispatchEvent(new Event('offline'))")  # the page then reconnects
    async with asyncio.timeout(30):
        await is_back.wait()
    stage.hub.open_gate(user)

    await expect(page).to_have_url(in_server(user))
    assert await stage.users("unsure") == [user]


async def test_a_cancellation_that_fails_for_now_is_repeated(page: Page, stage: Stage) -> None:
    await launch_by_link(page, stage, "later")
    refused: list[Route] = []

    async def be_unsure(route: Route) -> None:
        if route.request.method != "DELETE" or refused:
            await route.fallback()
        else:
            refused.append(route)
            await answer_with_problem(route, 502, "hub_unavailable")

    await page.route(re.compile(r"/launch/\w{26}$"), be_unsure)
    await page.get_by_role("button", name="Cancel").click()

    await expect(page.get_by_text("The launch was cancelled").first).to_be_visible()
    await stage.gone("later")


async def test_the_page_says_that_the_service_does_not_answer(page: Page, stage: Stage) -> None:
    await page.route("**/session", lambda route: route.fulfill(status=502, content_type="text/html", body="<h1>"))

    await page.goto(stage.url)

    await expect(page.get_by_role("alert")).to_contain_text("The launch service cannot be reached")
    await page.unroute_all()
    await page.reload()
    await expect(page.get_by_label("Image")).to_be_visible()


async def test_an_answer_that_is_not_json_leaves_the_launch_page_usable(page: Page, stage: Stage) -> None:
    await page.route(re.compile(r"/launch/\w{26}$"), lambda route: route.fulfill(content_type="text/html", body="<h1>"))

    await page.goto(f"{stage.url}launch/{ULID()}/view")

    await expect(page.locator("hub-launch")).to_be_attached()


async def test_a_silent_connection_is_replaced(page: Page, stage: Stage) -> None:
    """As after sleep: the connection looks open and is dead."""
    await page.clock.install()
    await launch_by_link(page, stage, "silence")

    async with page.expect_request(re.compile(r"/events\?.*after=\d")):
        await page.clock.fast_forward(60_000)

    await expect(page.get_by_text(HELD).first).to_be_visible()
