"""How long a start usually takes, in words and by the bar."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.async_api import Page, expect

from tests.browser.looks import assert_looks
from tests.browser.stage import Stage
from tests.browser.test_looks import IMAGE, REPO, Show, show
from tests.fakes.hub import FakeHub, SpawnPlan
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
    """A page that launches an image whose starts, and pulls if there were any, took this many seconds."""
    async with show(tmp_path) as shown:
        shown.hub.spawn_plan(None, SpawnPlan(seconds=0))
        await ready_before(shown.service, *[starts] * 6, image=IMAGE)
        if pulls:
            await ready_before(shown.service, *[pulls] * 5, image=IMAGE, pulled=True)
        shown.hub.spawn_plan(None, SpawnPlan(messages=[STARTING], never=True))
        await page.goto(f"{shown.url}?{urlencode({'image': IMAGE, 'repo_url': REPO})}")
        await page.get_by_role("button", name="Launch", exact=True).click()
        yield shown


def pull(hub: FakeHub) -> None:
    """Let the Hub report that it pulls the image of the server that is starting."""
    user = next(user for user, _ in hub.active_servers if hub.is_spawning(user))
    hub.report(user, f'Pulling image "{IMAGE}"', progress=6)


def line(page: Page, words: str) -> Any:
    return page.get_by_role("group").get_by_text(words, exact=True)


async def test_a_start_shows_how_long_it_usually_takes_and_the_bar_moves_with_time(page: Page, tmp_path: Path) -> None:
    async with launching(page, tmp_path, starts=40):
        await expect(line(page, "Usually 40 s")).to_be_visible()
        await expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuetext", re.compile(r"^[1-9]\d %, "))
        await assert_looks(page, "usual", tmp_path)


async def test_a_start_that_takes_longer_than_usual_says_so_and_claims_no_end(page: Page, tmp_path: Path) -> None:
    async with launching(page, tmp_path, starts=1):
        await expect(line(page, "Longer than usual; usually 1 s")).to_be_visible()
        await expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "95")
        await assert_looks(page, "longer", tmp_path)


async def test_a_pull_changes_what_is_usual_and_the_bar_does_not_fall(page: Page, tmp_path: Path) -> None:
    async with launching(page, tmp_path, starts=2, pulls=360) as shown:
        bar = page.get_by_role("progressbar")
        await expect(bar).to_have_attribute("aria-valuetext", "80 %, Starting your server")
        pull(shown.hub)

        await expect(line(page, "Usually 6 min")).to_be_visible()
        await expect(bar).to_have_attribute("aria-valuetext", "80 %, Pulling the image")


async def test_a_pull_shows_no_usual_time_where_too_few_launches_pulled(page: Page, tmp_path: Path) -> None:
    async with launching(page, tmp_path, starts=40) as shown:
        await expect(line(page, "Usually 40 s")).to_be_visible()
        pull(shown.hub)

        await expect(line(page, "Pulling the image")).to_be_visible()
        await expect(line(page, "Usually 40 s")).to_be_hidden()


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
