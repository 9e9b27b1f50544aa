"""The catalogue on the page and in the element: environments and sizes to choose from."""

import json
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.async_api import Page, ViewportSize, expect

from tests.browser.looks import assert_looks
from tests.browser.test_looks import IMAGE, REPO, Show, show

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="session")]

SCIPY = "quay.io/org/scipy:1"
CATALOGUE = {
    "environments": {
        "scipy": {
            "title": "Scientific Python",
            "description": "NumPy, SciPy, pandas and Matplotlib in JupyterLab",
            "image": SCIPY,
            "sizes": ["small", "large"],
        },
        "r": {"title": "R", "description": "The tidyverse in RStudio", "image": "quay.io/org/r:1"},
    },
    "sizes": {
        "small": {"title": "1 CPU, 2 GB", "user_options": {"profile": "small"}},
        "large": {"title": "4 CPUs, 16 GB", "user_options": {"profile": "large"}},
    },
}
VIEW = re.compile(r"/launch/[0-9A-Z]{26}/view$")


@asynccontextmanager
async def with_catalogue(tmp_path: Path, **changed: Any) -> AsyncGenerator[Show]:
    path = tmp_path / "catalogue.json"
    path.write_text(json.dumps(CATALOGUE))
    async with show(tmp_path, catalogue_file=path, **changed) as shown:
        yield shown


async def options(shown: Show) -> dict[str, Any]:
    """Return the `user_options` of the only server that was asked for."""
    await shown.hub.until(lambda: shown.hub.active_servers)
    (user,) = shown.hub.users
    return dict(shown.hub.users[user].servers[""].user_options or {})


async def test_a_visitor_chooses_an_environment_and_a_size_with_the_keyboard(page: Page, tmp_path: Path) -> None:
    async with with_catalogue(tmp_path) as shown:
        await page.goto(shown.url)
        await expect(page.get_by_role("radio", name="Scientific Python")).to_be_checked()
        await expect(page.get_by_role("radio", name="1 CPU, 2 GB")).to_be_checked()
        await expect(page.get_by_label("Image", exact=True)).to_be_hidden()

        await page.get_by_role("radio", name="Scientific Python").focus()
        await page.keyboard.press("Tab")
        await page.keyboard.press("ArrowRight")
        await page.keyboard.press("Tab")
        await page.keyboard.type(REPO)
        await page.keyboard.press("Enter")

        await expect(page).to_have_url(VIEW)
        for title in ("Scientific Python", "4 CPUs, 16 GB"):
            await expect(page.get_by_role("definition").filter(has_text=re.compile(f"^{title}$"))).to_be_visible()
        asked = await options(shown)

    assert (asked["image"], asked["profile"], asked["repo_url"]) == (SCIPY, "large", REPO)


async def test_an_environment_without_sizes_shows_none(page: Page, tmp_path: Path) -> None:
    async with with_catalogue(tmp_path) as shown:
        await page.goto(shown.url)

        await page.get_by_role("radio", name="R", exact=True).check()
        await expect(page.get_by_role("group", name="Size")).to_be_hidden()
        await page.get_by_role("button", name="Launch", exact=True).click()
        asked = await options(shown)

    assert asked["image"] == "quay.io/org/r:1"
    assert "profile" not in asked


async def test_another_image_is_folded_away_until_it_is_chosen(page: Page, tmp_path: Path) -> None:
    async with with_catalogue(tmp_path) as shown:
        await page.goto(shown.url)

        await page.get_by_role("radio", name="Another image").check()
        await page.get_by_label("Image", exact=True).fill(IMAGE)
        await page.get_by_role("button", name="Launch", exact=True).click()
        asked = await options(shown)

    assert asked["image"] == IMAGE


async def test_where_no_other_image_is_allowed_none_is_asked_for(page: Page, tmp_path: Path) -> None:
    async with with_catalogue(tmp_path, allowed_images=()) as shown:
        await page.goto(shown.url)

        await expect(page.get_by_role("radio", name="Scientific Python")).to_be_checked()
        await expect(page.get_by_role("radio", name="Another image")).to_have_count(0)


async def test_a_link_names_an_environment_and_a_size_and_can_be_shared_again(page: Page, tmp_path: Path) -> None:
    async with with_catalogue(tmp_path) as shown:
        link = f"{shown.url}?{urlencode({'environment': 'scipy', 'size': 'large', 'repo_url': REPO}, safe='/:')}"
        await page.set_viewport_size(ViewportSize(width=360, height=740))
        await page.goto(link)

        await expect(page.get_by_role("definition")).to_have_text(["Scientific Python", "4 CPUs, 16 GB", REPO])
        await assert_looks(page, "link-environment", tmp_path)
        await page.get_by_role("button", name="Change").click()
        await expect(page.get_by_role("radio", name="Scientific Python")).to_be_focused()
        await page.get_by_text("Share this").click()
        assert await page.get_by_label("Link", exact=True).input_value() == link
        await page.get_by_role("button", name="Launch", exact=True).click()
        asked = await options(shown)

    assert asked["profile"] == "large"


async def test_a_link_to_an_environment_that_is_not_offered_says_so(page: Page, tmp_path: Path) -> None:
    async with with_catalogue(tmp_path) as shown:
        await page.goto(f"{shown.url}?environment=scypi")

        await expect(page.get_by_role("alert")).to_contain_text("You cannot launch the environment scypi here.")
        await expect(page.get_by_role("radio", name="Scientific Python")).to_be_visible()


async def test_the_form_with_environments_is_accessible_and_fits_every_width(page: Page, tmp_path: Path) -> None:
    async with with_catalogue(tmp_path) as shown:
        await page.goto(shown.url)
        await page.get_by_text("Share this").click()

        await assert_looks(page, "environments", tmp_path)


async def test_the_element_launches_an_environment(page: Page, tmp_path: Path) -> None:
    async with with_catalogue(tmp_path) as shown:
        await page.goto(f"{shown.url}docs")
        await page.evaluate(
            """async (url) => {
                await import(`${url}static/hub-launch.js`);
                document.body.innerHTML = "<hub-launch environment='scipy' size='large'>Run</hub-launch>";
            }""",
            shown.url,
        )

        await page.get_by_role("button", name="Run").click()
        asked = await options(shown)

    assert (asked["image"], asked["profile"]) == (SCIPY, "large")
