"""A server without the files of its repository, on the page and in the element."""

import json
import re
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.async_api import Page, expect

from hublaunch.launch.course.content import NO_NBGITPULLER
from tests.browser.test_looks import REPO, show
from tests.fakes.hub import SpawnPlan

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="session")]

CATALOGUE = {
    "environments": {
        "pulled": {"title": "With a repository", "image": "quay.io/org/a:1", "content": "nbgitpuller", "open": "lab"},
        "label": {"title": "Plain", "image": "quay.io/org/a:1"},
    }
}


async def test_the_visitor_reads_why_the_files_are_missing_before_the_server_opens(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "catalogue.json"
    path.write_text(json.dumps(CATALOGUE))
    async with show(tmp_path, catalogue_file=path) as shown:
        shown.hub.spawn_plan(None, SpawnPlan(seconds=0.1))
        await page.goto(f"{shown.url}?{urlencode({'environment': 'pulled', 'repo_url': REPO})}")
        await page.get_by_role("button", name="Launch").click()

        await expect(page.get_by_text(NO_NBGITPULLER, exact=True)).to_be_visible(timeout=20_000)
        opens = page.get_by_role("link", name="Open server")
        await expect(opens).to_have_attribute("href", re.compile(r"/lab\?token="))
        await expect(page).to_have_url(re.compile(r"/launch/[0-9A-Z]{26}/view$"))
