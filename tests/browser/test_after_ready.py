"""After ready: when the server ends, how it is extended, and how it is stopped."""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import BrowserContext, Page, expect

from tests.browser.looks import assert_looks
from tests.browser.stage import Stage
from tests.browser.test_looks import Show, show

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="session")]

ENDS_SOON: dict[str, Any] = {"max_session_s": 8.0 * 60, "max_extended_session_s": 100.0 * 60}
TEMPORARY = "Files here are temporary: they are deleted when the server stops."
STOPPED = "This server has stopped"


@asynccontextmanager
async def ready(page: Page, tmp_path: Path, **settings: Any) -> AsyncGenerator[Show]:
    """The page of a launch whose server is ready, and was not opened."""
    async with show(tmp_path, **settings) as shown:
        await shown.bring(page, "ready")
        yield shown


def panel(page: Page, words: str | re.Pattern[str]) -> Any:
    return page.locator("hub-launch").get_by_text(words).first


async def ask_to_stop(page: Page) -> None:
    await page.get_by_role("button", name="Stop server").click()
    await expect(page.get_by_role("group", name="Stop this server?")).to_be_visible()


async def ask_in_the_list(page: Page) -> None:
    await page.get_by_role("link", name="Launch something else").click()
    await page.get_by_role("button", name="Stop jupyterlab/jupyterlab-demo").click()
    await expect(page.get_by_role("button", name="Keep it")).to_be_focused()


async def nothing(page: Page) -> None:
    await expect(panel(page, re.compile("^Ends at "))).to_be_visible()


@pytest.mark.parametrize(
    ("state", "bring"), [("ending", nothing), ("stopping", ask_to_stop), ("list", ask_in_the_list)]
)
async def test_what_follows_ready_is_accessible_in_light_and_dark_and_fits_every_width(
    page: Page, tmp_path: Path, state: str, bring: Callable[[Page], Awaitable[None]]
) -> None:
    await page.emulate_media(reduced_motion="reduce")
    async with ready(page, tmp_path, **ENDS_SOON):
        await bring(page)
        await assert_looks(page, state, tmp_path)


async def test_the_end_is_counted_down_and_announced_when_it_is_near(page: Page, tmp_path: Path) -> None:
    async with ready(page, tmp_path, **ENDS_SOON):
        await expect(panel(page, re.compile(r"^Ends at .+ \(in [78] minutes\)$"))).to_be_visible()
        await expect(panel(page, TEMPORARY)).to_be_visible()
        await expect(page.get_by_role("status")).to_have_text(
            re.compile(r"Your server is ready\..*The server ends at .+\. Save what you want to keep\.")
        )


async def test_without_a_limit_there_is_no_end_and_nothing_to_extend(page: Page, tmp_path: Path) -> None:
    async with ready(page, tmp_path):
        await expect(panel(page, TEMPORARY)).to_be_visible()
        await expect(panel(page, re.compile("^Ends at "))).to_be_hidden()
        await expect(page.get_by_role("button", name=re.compile("^Extend"))).to_be_hidden()


async def test_a_session_is_extended_by_an_hour_and_then_by_the_rest(page: Page, tmp_path: Path) -> None:
    async with ready(page, tmp_path, **ENDS_SOON):
        await page.get_by_role("button", name="Extend by 60 min").click()
        await expect(panel(page, re.compile(r"\(in 6[78] minutes\)$"))).to_be_visible()

        await page.get_by_role("button", name="Extend by 32 min").click()
        await expect(panel(page, re.compile(r"\(in (99|100|2 hours?)"))).to_be_visible()
        await expect(page.get_by_role("button", name=re.compile("^Extend"))).to_be_hidden()
        focused = await page.evaluate("document.querySelector('hub-launch').shadowRoot.activeElement?.textContent")

    assert focused == "Open server"


async def test_stopping_asks_first_and_needs_only_the_keyboard(page: Page, tmp_path: Path) -> None:
    async with ready(page, tmp_path) as shown:
        stop, keep = [page.get_by_role("button", name=name) for name in ("Stop server", "Keep it running")]
        await stop.focus()
        await page.keyboard.press("Enter")
        await expect(keep).to_be_focused()
        await expect(panel(page, "Its files will be deleted.")).to_be_visible()

        await page.keyboard.press("Escape")
        await expect(stop).to_be_focused()
        assert shown.hub.active_servers

        await page.keyboard.press("Enter")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")

        await expect(panel(page, STOPPED)).to_be_visible()
        await expect(page.get_by_role("button", name="Launch again")).to_be_visible()
        assert shown.hub.users == {}
        focused = await page.evaluate("document.querySelector('hub-launch').shadowRoot.activeElement?.textContent")

    assert focused == STOPPED


async def test_a_server_that_is_being_stopped_can_neither_be_opened_nor_stopped_again(
    page: Page, tmp_path: Path
) -> None:
    async with ready(page, tmp_path) as shown:
        await shown.hub.kill()
        await ask_to_stop(page)
        await page.get_by_role("button", name="Stop it").click()

        await expect(panel(page, "Stopping your server")).to_be_visible()
        for control in ("Open server", "Stop server", "Start another"):
            await expect(page.get_by_text(control)).to_be_hidden()

        await shown.hub.start_again()
        await expect(panel(page, STOPPED)).to_be_visible()


async def test_the_page_notices_that_the_time_of_the_server_is_over(page: Page, tmp_path: Path) -> None:
    async with ready(page, tmp_path, max_session_s=2.0) as shown:
        await expect(panel(page, "Time is up: this server has stopped")).to_be_visible()

        assert shown.hub.users == {}


async def test_a_stranger_sees_neither_the_end_nor_a_way_to_stop(
    page: Page, browser_of_another: BrowserContext, tmp_path: Path
) -> None:
    async with ready(page, tmp_path, **ENDS_SOON):
        stranger = await browser_of_another.new_page()
        await stranger.goto(page.url)

        await expect(panel(stranger, "The server is ready")).to_be_visible()
        for words in (re.compile("^Ends at "), TEMPORARY, "Stop server", re.compile("^Extend")):
            await expect(panel(stranger, words)).to_be_hidden()


async def test_a_server_is_stopped_from_the_list_of_recent_launches(page: Page, tmp_path: Path) -> None:
    async with ready(page, tmp_path, **ENDS_SOON) as shown:
        await ask_in_the_list(page)
        await expect(page.get_by_text(re.compile("ends in [78] minutes"))).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("button", name="Stop jupyterlab/jupyterlab-demo")).to_be_focused()

        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="Stop it").click()

        await expect(page.get_by_role("listitem").get_by_text("Stopped", exact=True)).to_be_visible()
        await expect(page.get_by_role("link", name="jupyterlab/jupyterlab-demo")).to_be_focused()
        await expect(page.get_by_role("button", name=re.compile("^Stop"))).to_have_count(0)
        assert shown.hub.users == {}


async def test_a_launch_in_progress_is_cancelled_from_the_list(page: Page, tmp_path: Path) -> None:
    async with show(tmp_path) as shown:
        await shown.bring(page, "launching")
        await page.get_by_role("link", name="Launch something else").click()
        await page.get_by_role("button", name="Cancel jupyterlab/jupyterlab-demo").click()
        await page.get_by_role("button", name="Cancel it").click()

        await expect(page.get_by_role("listitem").get_by_text("Cancelled", exact=True)).to_be_visible()
        assert shown.hub.users == {}


LEFT = {
    -1: "Time is up: the server is being stopped.",
    30: "in less than a minute",
    61: "in a minute",
    725: "in 12 minutes",
    3600: "in 60 minutes",
    2 * 3600: "in 2 hours",
    3 * 86_400: "in 3 days",
}


async def test_the_time_that_is_left_is_worded_as_a_person_would_say_it(page: Page, stage: Stage) -> None:
    await page.goto(stage.url)

    told = await page.evaluate(
        """async (seconds) => {
            const {TEXTS, ends} = await import(new URL("static/element/texts.js", document.baseURI));
            return seconds.map((left) => ends(Date.now() + 1000 * left, 1000 * left, TEXTS));
        }""",
        list(LEFT),
    )

    assert [text.partition(" (")[2].rstrip(")") or text for text in told] == list(LEFT.values())
