"""The page for admins, with many launches, by keyboard, and for people who may not see it."""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from playwright.async_api import BrowserContext, Locator, Page, ViewportSize, expect

from hublaunch.api.pace import WebPace
from hublaunch.settings import Settings
from tests.browser.looks import assert_looks, violations
from tests.browser.stage import watch
from tests.browser.test_login import HOST, log_in_at_a_fake
from tests.browser.test_looks import IMAGE, STARTS, Show
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.admin_links import admin_link
from tests.support.served import Service, serve

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="session")]

AT_HUB = 20
BROKEN = "quay.io/jupyter/broken-notebook:latest"
EVENTS = 15
LISTEN = """() => {
    window.shownAt = new Map();
    window.longMs = [];
    new MutationObserver((changes) => {
        for (const {target} of changes) window.shownAt.set(target.textContent, performance.now());
    }).observe(document.getElementById("launches"), {subtree: true, childList: true, characterData: true});
    new PerformanceObserver((list) => window.longMs.push(...list.getEntries().map(({duration}) => duration)))
        .observe({type: "longtask", buffered: true});
    setTimeout(() => {
        const until = performance.now() + 60;
        while (performance.now() < until) {}
    });
}"""
"""Notes when a cell gets its text, and tasks longer than 50 ms. It makes one such task, to show that it notes them."""
NOTE_LOST_FOCUS = """() => {
    window.lost = [];
    document.addEventListener("focusout", ({target}) => requestAnimationFrame(() => {
        if (document.activeElement === document.body) window.lost.push(target.outerHTML);
    }));
}"""
NOW = WebPace(overview_every_s=0.05, status_kept_s=0)


@asynccontextmanager
async def watched(page: Page, tmp_path: Path, *, launches: int = 3, **changed: Any) -> AsyncGenerator[Show]:
    """The page for admins, opened with a link, beside a Hub with this many launches in progress."""
    database_url = f"sqlite:///{tmp_path}/hublaunch.sqlite"
    async with FakeHub() as hub:
        hub.slow_spawn_timeout = 0
        hub.spawn_plan(None, STARTS)
        settings = Settings(
            hub_url=hub.url,
            hub_api_token=hub.api_token,
            allowed_images=("quay.io/jupyter/*",),
            max_concurrent_spawns=AT_HUB,
            anonymous_quota=0,
            hub_guard="off",
            rate_limit_store="off",
            retries=1,
            database_url=database_url,
        )
        async with serve(settings.model_copy(update=changed), web_pace=NOW) as service:
            shown = Show(hub, service)
            for first in range(0, launches, 50):
                numbers = range(first, min(first + 50, launches))
                await asyncio.gather(*[launch(service, n) for n in numbers])
            await page.goto(f"{shown.url}admin#link={admin_link(database_url)}")
            yield shown


async def launch(service: Service, n: int) -> dict[str, Any]:
    return await service.launch(image=IMAGE, repo_url=f"https://github.com/org/course-{n:03}")


async def fail_twice(shown: Show) -> None:
    """Have an image fail as often as the guard lets it."""
    shown.hub.spawn_plan(None, SpawnPlan(fails=f'Failed to pull image "{BROKEN}": manifest unknown'))
    for n in range(2):
        accepted = await shown.service.launch(image=BROKEN, repo_url=f"https://github.com/org/broken-{n}")
        await shown.service.events(accepted["events_url"])


def row(page: Page, words: str) -> Locator:
    return page.get_by_role("row").filter(has_text=words)


def fact(page: Page, name: str) -> Locator:
    return page.locator("#summary > div").filter(has_text=name).locator("dd")


async def focused(page: Page) -> str:
    """Return the name or the text of the control that has the focus; the empty string if none has it."""
    return str(
        await page.evaluate(
            """() => document.activeElement === document.body ? ""
                : document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent"""
        )
    )


async def test_every_list_is_accessible_in_light_and_dark_and_fits_every_width(page: Page, tmp_path: Path) -> None:
    await page.emulate_media(reduced_motion="reduce")
    async with watched(
        page, tmp_path, launches=0, max_concurrent_spawns=3, hub_guard="normal", anonymous_quota=20
    ) as shown:
        await fail_twice(shown)
        shown.hub.spawn_plan(None, SpawnPlan())
        accepted = await launch(shown.service, 0)
        await shown.service.events(accepted["events_url"])
        shown.hub.spawn_plan(None, STARTS)
        for n in range(1, 6):
            await launch(shown.service, n)
        await expect(page.get_by_text("Launches are waiting in the queue.")).to_be_visible()
        await expect(row(page, "anonymous:127.0.0.1")).to_have_text("calleranonymous:127.0.0.1620")
        await assert_looks(page, "admin", tmp_path)


async def test_five_hundred_launches_are_accessible_fit_a_phone_and_stay_live(page: Page, tmp_path: Path) -> None:
    await page.emulate_media(reduced_motion="reduce")
    async with watched(page, tmp_path, launches=500) as shown:
        await expect(fact(page, "In the queue")).to_have_text("480")
        await expect(page.locator("#launches tr")).to_have_count(500)
        for width in (1280, 360):
            await page.set_viewport_size(ViewportSize(width=width, height=740))
            assert await page.evaluate("document.documentElement.scrollWidth") == width
            for scheme in ("light", "dark"):
                await page.emulate_media(color_scheme=scheme)
                assert await violations(page) == [], (width, scheme)

        user = next(user for user, _ in shown.hub.active_servers)
        shown.hub.report(user, "A very particular message", progress=90)
        await expect(row(page, "A very particular message")).to_be_visible()
        shown.hub.release(user)
        await expect(fact(page, "Ready")).to_have_text("1")
        await expect(fact(page, "In the queue")).to_have_text("479")

        await page.get_by_label("Filter").fill("course-499")
        await expect(page.locator("#launches tr")).to_have_count(1)
        await expect(page.get_by_text("Shown: 1 of 499")).to_be_visible()


async def test_an_event_is_on_the_page_soon_after_it_is_read_and_blocks_it_only_briefly(
    page: Page, tmp_path: Path
) -> None:
    """In production the service reads once a second, so that an event takes up to a second more than here."""
    async with watched(page, tmp_path, launches=500) as shown:
        await expect(page.locator("#launches tr")).to_have_count(500)
        user = next(user for user, _ in shown.hub.active_servers)
        await page.evaluate(LISTEN)
        latencies_s = []
        for n in range(EVENTS):
            before = await page.evaluate("performance.now()")
            shown.hub.report(user, f"Step {n} of the test", progress=20 + n)
            await page.wait_for_function("(text) => window.shownAt.has(text)", arg=f"Step {n} of the test")
            at = await page.evaluate("(text) => window.shownAt.get(text)", f"Step {n} of the test")
            latencies_s.append((at - before) / 1000)
        long_ms = await page.evaluate("window.longMs")

    assert median(latencies_s) < 1
    assert 50 < max(long_ms) < 500  # one of them is LISTEN's own


async def test_a_launch_is_cancelled_by_keyboard_and_the_focus_stays_in_the_list(page: Page, tmp_path: Path) -> None:
    async with watched(page, tmp_path) as shown:
        cancel = row(page, "course-001").get_by_role("button")
        await cancel.focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("group").get_by_role("button").first).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(cancel).to_be_focused()
        assert len(shown.hub.active_servers) == 3

        await page.keyboard.press("Enter")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")

        await expect(row(page, "course-001")).to_have_count(0)
        await expect(page.locator("#launches tr")).to_have_count(2)
        assert (
            await page.evaluate("document.activeElement.closest('section')?.querySelector('h2').id") == "launches-title"
        )
        await shown.hub.until(lambda: len(shown.hub.users) == 2)


async def tab_to(page: Page, control: Locator) -> None:
    """Press Tab until this control has the focus, and see each time that the focus is visible."""
    for _ in range(60):
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.matches(':focus-visible, body')")
        if await control.evaluate("(one) => one === document.activeElement"):
            return
    raise AssertionError(f"Tab does not reach {control}")


async def answer(page: Page, confirm: str) -> None:
    """Press the button that has the focus, and then the answer that acts."""
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("button", name=confirm)).to_be_focused()
    await page.keyboard.press("Enter")


async def test_everything_is_reached_and_switched_with_the_keyboard_alone(page: Page, tmp_path: Path) -> None:
    async with watched(page, tmp_path, launches=0, hub_guard="normal") as shown:
        await fail_twice(shown)
        shown.hub.spawn_plan(None, STARTS)
        for n in range(1, 4):
            await launch(shown.service, n)
        await expect(page.locator("#launches tr")).to_have_count(3)
        await expect(page.get_by_role("button", name="Clear the guard")).to_be_visible()

        await tab_to(page, page.get_by_role("button", name="Refuse new launches"))
        await answer(page, "Refuse them")
        await expect(fact(page, "New launches")).to_have_text("are refused, and the queue is held")
        await expect(page.get_by_role("button", name="Accept new launches")).to_be_focused()
        await page.keyboard.press("Enter")
        await page.keyboard.press("Escape")
        assert await focused(page) == "Accept new launches"
        await answer(page, "Accept them")
        await expect(fact(page, "New launches")).to_have_text("are accepted")
        assert await focused(page) == "Refuse new launches"

        await tab_to(page, page.get_by_role("button", name=f"Admit again: {BROKEN}"))
        await answer(page, "Admit it")
        await expect(page.get_by_role("heading", name="Images that keep failing")).to_be_hidden()
        assert await focused(page) == "Launches in progress"

        await tab_to(page, page.get_by_role("button", name="Clear the guard"))
        await answer(page, "Clear it")
        await expect(fact(page, "Hub guard")).to_have_text(re.compile("failures in a row: 0 of 4"))
        assert await focused(page) == "Refuse new launches"

        await tab_to(page, row(page, "course-002").get_by_role("button"))
        await answer(page, "Cancel it")
        await expect(row(page, "course-002")).to_have_count(0)
        assert await focused(page)


async def test_the_focus_stays_on_its_launch_while_others_come_go_and_are_sorted(page: Page, tmp_path: Path) -> None:
    async with watched(page, tmp_path) as shown:
        link = row(page, "course-001").get_by_role("link")
        await page.get_by_label("Sort by").select_option("last_event_at")
        await link.focus()
        await page.evaluate(NOTE_LOST_FOCUS)
        users = {n: next(user for user, _ in shown.hub.active_servers if f"course-00{n}" in user) for n in range(3)}
        for n in (1, 0, 2, 1):
            shown.hub.report(users[n], f"News of {n}", progress=60 + n)
            await expect(row(page, f"News of {n}")).to_be_visible()
            await expect(link).to_be_focused()
        await launch(shown.service, 7)
        await expect(row(page, "course-007")).to_be_visible()
        shown.hub.release(users[0])
        await expect(row(page, "course-000")).to_have_count(0)
        await expect(link).to_be_focused()

        shown.hub.release(users[1])
        await expect(row(page, "course-001")).to_have_count(0)
        assert await page.evaluate("document.activeElement.closest('#launches') !== null")
        assert await page.evaluate("window.lost") == []


async def test_a_question_stays_open_while_the_launches_around_it_change(page: Page, tmp_path: Path) -> None:
    async with watched(page, tmp_path) as shown:
        await row(page, "course-002").get_by_role("button").click()
        keep = page.get_by_role("group").get_by_role("button").first
        for user, _ in list(shown.hub.active_servers):
            if "course-002" not in user:
                shown.hub.release(user)
        await launch(shown.service, 7)
        await expect(fact(page, "Ready")).to_have_text("2")
        await expect(row(page, "course-007")).to_be_visible()

        await expect(keep).to_be_focused()


async def test_new_launches_are_refused_and_accepted_again_by_keyboard(page: Page, tmp_path: Path) -> None:
    async with watched(page, tmp_path) as shown:
        await page.get_by_role("button", name="Refuse new launches").focus()
        for key in ("Enter", "Tab", "Enter"):
            await page.keyboard.press(key)
        await expect(fact(page, "New launches")).to_have_text("are refused, and the queue is held")
        await expect(page.get_by_role("button", name="Accept new launches")).to_be_focused()
        refused = await shown.service.http.post("/launch", json={"image": IMAGE, "repo_url": "https://example.org/a"})

        for key in ("Enter", "Tab", "Enter"):
            await page.keyboard.press(key)
        await expect(fact(page, "New launches")).to_have_text("are accepted")
        await launch(shown.service, 8)

    assert refused.json()["code"] == "service_draining"


async def test_an_image_that_keeps_failing_is_admitted_again_and_the_guard_is_cleared(
    page: Page, tmp_path: Path
) -> None:
    async with watched(page, tmp_path, launches=0, hub_guard="normal") as shown:
        await fail_twice(shown)
        await page.get_by_role("button", name=f"Admit again: {BROKEN}").click()
        await page.get_by_role("button", name="Admit it").click()
        await expect(page.get_by_role("heading", name="Images that keep failing")).to_be_hidden()

        await expect(fact(page, "Hub guard")).to_have_text(re.compile("failures in a row: 2 of 4"))
        await page.get_by_role("button", name="Clear the guard").click()
        await page.get_by_role("button", name="Clear it").click()
        await expect(fact(page, "Hub guard")).to_have_text(re.compile("failures in a row: 0 of 4"))
        assert await focused(page) == "Refuse new launches"


async def test_nothing_in_progress_is_said_in_words(page: Page, tmp_path: Path) -> None:
    async with watched(page, tmp_path, launches=0):
        await expect(page.get_by_text("Nothing is being launched.")).to_be_visible()
        await expect(page.get_by_text("Everything works.")).to_be_visible()


@pytest.mark.parametrize(("lasts_s", "spoils"), [(0, False), (3600, True)])
async def test_a_link_that_is_over_or_wrong_says_what_to_do(
    page: Page, tmp_path: Path, lasts_s: int, spoils: bool
) -> None:
    database_url = f"sqlite:///{tmp_path}/hublaunch.sqlite"
    async with watched(page, tmp_path, launches=0) as shown:
        credential = admin_link(database_url, lasts=timedelta(seconds=lasts_s))
        await page.goto("about:blank")
        await page.goto(f"{shown.url}admin#link={credential}{'x' if spoils else ''}")

        await expect(page.get_by_role("alert")).to_have_text(
            re.compile("This admin link does not work.*Ask the operator for a new one")
        )
        await expect(page.locator("#overview")).to_be_hidden()
        assert "hla_" not in page.url


async def test_a_page_that_is_open_when_its_link_ends_says_so(page: Page, tmp_path: Path) -> None:
    database_url = f"sqlite:///{tmp_path}/hublaunch.sqlite"
    async with watched(page, tmp_path, launches=1) as shown:
        brief = admin_link(database_url, lasts=timedelta(seconds=4))
        await page.goto("about:blank")
        await page.goto(f"{shown.url}admin#link={brief}")
        await row(page, "course-000").get_by_role("link").focus()

        await expect(page.get_by_role("alert")).to_have_text(re.compile("Ask the operator for a new one"))
        await expect(page.get_by_role("alert")).to_be_focused()
        await expect(page.locator("#overview")).to_be_hidden()


async def test_hub_users_who_are_no_admins_are_told_so(context: BrowserContext, tmp_path: Path) -> None:
    async with FakeHub() as hub:
        hub.create_user("ada")
        settings = Settings(
            hub_url=f"https://{HOST}/",
            hub_url_local=hub.url,
            hub_api_token=hub.api_token,
            access=("hub",),
            service_name=hub.service,
            oauth_callback_url=f"https://{HOST}/oauth_callback",
            database_url=f"sqlite:///{tmp_path}/hublaunch.sqlite",
        )
        async with serve(settings) as service:
            url = f"http://{HOST}:{service.http.base_url.port}/"
            page = await log_in_at_a_fake(context, url, hub, "ada")
            complaints = watch(page)
            await page.goto(f"{url}admin")

            await expect(page.get_by_role("alert")).to_have_text(
                re.compile("Only admins may see and do this. Ask the operator")
            )
            await expect(page.locator("#overview")).to_be_hidden()
            assert await violations(page) == []

    assert [one for one in complaints if "403" not in one] == []


async def test_the_page_follows_again_after_a_restart_of_the_service(page: Page, tmp_path: Path) -> None:
    async with watched(page, tmp_path, launches=1) as shown:
        await expect(row(page, "course-000")).to_be_visible()
        await shown.service.server.stop()
        await expect(page.get_by_role("alert")).to_have_text(re.compile("hublaunch does not answer"))
        await expect(row(page, "course-000")).to_be_visible()
        await shown.service.server.start()

        await expect(page.get_by_role("alert")).to_be_hidden()
        await launch(shown.service, 1)
        await expect(row(page, "course-001")).to_be_visible()


async def test_people_without_a_link_are_told_how_to_get_one(page: Page, tmp_path: Path) -> None:
    async with watched(page, tmp_path, launches=0) as shown:
        stranger = await page.context.new_page()
        await stranger.goto(f"{shown.url}admin")

        await expect(stranger.get_by_role("alert")).to_have_text(re.compile("hublaunch admin-link"))
        await expect(stranger.locator("#overview")).to_be_hidden()
