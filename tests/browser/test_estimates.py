"""How long a start usually takes, in words and by the bar."""

import os
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.async_api import Page, ViewportSize, expect

from tests.browser.stage import Stage
from tests.browser.test_looks import IMAGE, REPO, Show, show
from tests.fakes.hub import SpawnPlan
from tests.support.started import ready_before

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="session")]

STARTING = {"progress": 5, "message": "Server requested"}
WORDS = {
    (400, False): "Usually 1 s",
    (7400, False): "Usually 7 s",
    (42_000, False): "Usually 40 s",
    (89_000, True): "Longer than usual; usually 90 s",
    (95_000, True): "Longer than usual; usually 2 min",
    (360_000, False): "Usually 6 min",
}


@asynccontextmanager
async def launching(page: Page, tmp_path: Path, *, starts: float, pulls: float = 0) -> AsyncGenerator[Show]:
    """A page that launches an image whose starts took so many seconds, and its pulls too, if there were any."""
    async with show(tmp_path) as shown:
        shown.hub.spawn_plan(None, SpawnPlan(seconds=0))
        await ready_before(shown.service, *[starts] * 6, image=IMAGE)
        if pulls:
            await ready_before(shown.service, *[pulls] * 5, image=IMAGE, pulled=True)
        shown.hub.spawn_plan(None, SpawnPlan(messages=[STARTING], never=True))
        await page.goto(f"{shown.url}?{urlencode({'image': IMAGE, 'repo_url': REPO})}")
        await page.get_by_role("button", name="Launch", exact=True).click()
        yield shown


async def picture(page: Page, tmp_path: Path, name: str) -> None:
    """Take the documentation's picture of the page with SCREENSHOTS=docs/images."""
    await page.set_viewport_size(ViewportSize(width=768, height=800))
    await page.screenshot(path=Path(os.environ.get("SCREENSHOTS", tmp_path), f"{name}-768.png"), full_page=True)


def line(page: Page, words: str) -> Any:
    return page.get_by_role("group").get_by_text(words, exact=True)


async def test_a_start_shows_how_long_it_usually_takes_and_the_bar_moves_with_time(page: Page, tmp_path: Path) -> None:
    async with launching(page, tmp_path, starts=20):
        await expect(line(page, "Usually 20 s")).to_be_visible()
        await expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuetext", re.compile(r"^[1-9]\d %, "))
        await picture(page, tmp_path, "usual")


async def test_a_start_that_takes_longer_than_usual_says_so_and_claims_no_end(page: Page, tmp_path: Path) -> None:
    async with launching(page, tmp_path, starts=1):
        await expect(line(page, "Longer than usual; usually 1 s")).to_be_visible()
        await expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "95")
        await picture(page, tmp_path, "longer")


async def test_a_pull_changes_what_is_usual_and_the_bar_does_not_fall(page: Page, tmp_path: Path) -> None:
    async with launching(page, tmp_path, starts=2, pulls=360) as shown:
        bar = page.get_by_role("progressbar")
        await expect(bar).to_have_attribute("aria-valuetext", "80 %, Starting your server")
        user = next(user for user, _ in shown.hub.active_servers if shown.hub.is_spawning(user))
        shown.hub.report(user, f'Pulling image "{IMAGE}"', progress=6)

        await expect(line(page, "Usually 6 min")).to_be_visible()
        await expect(bar).to_have_attribute("aria-valuetext", "80 %, Pulling the image")


async def test_a_usual_time_is_rounded_as_a_person_would_say_it(page: Page, stage: Stage) -> None:
    await page.goto(stage.url)

    told = await page.evaluate(
        """async (times) => {
            const {TEXTS, usually} = await import(new URL("static/element/texts.js", document.baseURI));
            return times.map(([milliseconds, isLong]) => usually(milliseconds, {isLong}, TEXTS));
        }""",
        [list(one) for one in WORDS],
    )

    assert told == list(WORDS.values())
