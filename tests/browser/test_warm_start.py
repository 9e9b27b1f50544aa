"""The page of the demo, whose servers are real JupyterLabs: a start with a warm server and one without.

With SCREENSHOTS=docs/images these are the pictures of the README.
"""

import asyncio
import os
import re
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Page, ViewportSize, expect

from tests.browser.looks import ROOT, pictures

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="session")]


@asynccontextmanager
async def demo(state: Path, *, warm: int) -> AsyncGenerator[str]:
    """Run the demo with this many warm servers, and yield its address once they are ready."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "hublaunch.cli", "demo", "--port", "0", "--warm", str(warm), "--state", str(state)),
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    try:
        async with asyncio.timeout(90):
            said = ""
            while (found := re.search(r"Launch at (\S+)", said)) is None:
                said = (await process.stdout.readline()).decode()
                assert said, "the demo has ended"
            await until_warm(found[1], warm)
        yield found[1]
    finally:
        process.terminate()
        await process.communicate()


async def until_warm(url: str, warm: int) -> None:
    """Return once this many warm servers are ready. The service has to be polled."""
    async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
        while sum(pool["ready"] for pool in (await http.get("status")).json()["pools"] or []) != warm:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    ("name", "warm", "words"), [("cold", 0, "Server requested"), ("warm", 1, "A warm server was waiting")]
)
async def test_the_page_says_how_a_server_started(page: Page, tmp_path: Path, name: str, warm: int, words: str) -> None:
    await page.set_viewport_size(ViewportSize(width=720, height=800))
    await page.emulate_media(reduced_motion="reduce")
    await page.add_init_script("document.addEventListener('ready', (event) => event.preventDefault())")
    async with demo(tmp_path / "demo", warm=warm) as url:
        await page.goto(f"{url}?environment=scipy")

        await page.get_by_role("button", name="Launch", exact=True).click()
        await expect(page.get_by_role("link", name="Open server")).to_be_visible()
        await page.get_by_text("Details").click()
        await expect(page.locator("hub-launch").get_by_text(words).first).to_be_visible()
        await page.locator("hub-launch").screenshot(path=pictures(tmp_path) / f"start-{name}.png")
