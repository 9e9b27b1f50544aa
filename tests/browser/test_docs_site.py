"""The site of the docs: every page fits a narrow screen, loads nothing from elsewhere, and can be searched."""

import subprocess
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.browser.stage import requests_of, served, watch
from tests.docs.pages import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="session")]

PROPERDOCS = ROOT / ".venv-docs" / "bin" / "properdocs"


@dataclass(frozen=True)
class Site:
    origin: str
    pages: list[str]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The site, built and served as `make docs` leaves it."""
    if not PROPERDOCS.exists():
        pytest.fail("The docs' tools are not installed: run `make docs` first.", pytrace=False)
    directory = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [PROPERDOCS, "build", "--strict", "--site-dir", directory],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    with served(directory) as port:
        pages = sorted(str(page.relative_to(directory)) for page in directory.rglob("*.html"))
        yield Site(f"http://127.0.0.1:{port}", pages)


@pytest_asyncio.fixture(loop_scope="session")
async def reader(browser: Browser) -> AsyncGenerator[Page]:
    page = await browser.new_page(viewport={"width": 360, "height": 800})
    complaints = watch(page)
    yield page
    await page.close()
    assert complaints == []


async def test_no_page_scrolls_sideways_on_a_phone_or_loads_from_elsewhere(site: Site, reader: Page) -> None:
    requests = requests_of(reader)

    too_wide = []
    for page in site.pages:
        await reader.goto(f"{site.origin}/{page}", wait_until="domcontentloaded")
        if await reader.evaluate("document.documentElement.scrollWidth") > 360:
            too_wide.append(page)

    assert too_wide == []
    assert {origin for _, origin in requests} == {site.origin}


async def test_search_finds_a_setting_by_its_name(site: Site, reader: Page) -> None:
    await reader.set_viewport_size({"width": 1280, "height": 800})
    await reader.goto(f"{site.origin}/tutorial.html")

    await reader.locator(".wy-nav-side input[name=q]").fill("LAUNCHER_HUB_API_TOKEN")
    await reader.keyboard.press("Enter")

    await expect(reader.locator("[id$=search-results] a[href*='settings.html']").first).to_be_visible()


async def test_the_sidebar_lists_the_pages_and_marks_the_current_one(site: Site, reader: Page) -> None:
    await reader.set_viewport_size({"width": 1280, "height": 800})

    await reader.goto(f"{site.origin}/limits.html")

    sidebar = reader.locator(".wy-nav-side")
    await expect(sidebar.get_by_role("link", name="Quotas")).to_be_visible()
    await expect(sidebar.locator("a.current", has_text="Limits")).to_be_visible()


async def test_code_is_colored(site: Site, reader: Page) -> None:
    await reader.goto(f"{site.origin}/client.html")

    colors = await reader.locator("pre span").evaluate_all(
        "spans => [...new Set(spans.map((span) => getComputedStyle(span).color))]"
    )

    assert len(colors) > 2
