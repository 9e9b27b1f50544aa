"""Five ways to a notebook on the demo: the page, a link on a phone, an element, the command line, and the client.

The Hub, its servers, JupyterLab, the kernel and git are real. Each way ends with an empty Hub.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlencode

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Dialog, Page, ViewportSize, expect

from hublaunch.client import LaunchClient
from hublaunch.demo.process import HubProcess, free_port
from hublaunch.demo.proxy import proxy_command, proxy_directory
from hublaunch.demo.run import _served
from hublaunch.demo.settings import demo_settings
from tests.browser.stage import Origin
from tests.cli.commands import in_thread
from tests.support.git import commit, git_server

pytestmark = [
    pytest.mark.browser,
    pytest.mark.real_hub,
    pytest.mark.timeout(240),
    pytest.mark.asyncio(loop_scope="session"),
]

START_MS = 60_000
NOTEBOOK = {
    "cells": [
        {
            "cell_type": "code",
            "execution_count": None,
            "id": "a",
            "metadata": {},
            "outputs": [],
            "source": "print('the answer is', 6 * 7)",
        }
    ],
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}


@dataclass(frozen=True)
class Demo:
    """The demo, and a repository with a notebook."""

    url: str
    repo_url: str
    hub: HubProcess

    @property
    def chosen(self) -> dict[str, str]:
        return {"environment": "scipy", "size": "small", "repo_url": self.repo_url, "path": "walk.ipynb"}

    async def until_empty(self) -> None:
        """Return once the Hub has no user."""
        headers = {"Authorization": f"token {self.hub.token}"}
        async with asyncio.timeout(60), httpx.AsyncClient(trust_env=False) as http:
            while (await http.get(f"{self.hub.api_url}users", headers=headers)).json():
                pass


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def demo(tmp_path_factory: pytest.TempPathFactory, elsewhere: Origin) -> AsyncGenerator[Demo]:
    directory = tmp_path_factory.mktemp("demo")
    commit(directory / "served" / "course", {"walk.ipynb": json.dumps(NOTEBOOK)})
    proxy = proxy_command(proxy_directory(directory / "state"))
    async with (
        git_server(directory / "served") as repositories,
        HubProcess(state=directory / "state", proxy_command=proxy, public_port=0) as hub,
    ):
        settings = demo_settings(hub, origins=[f"http://127.0.0.1:{elsewhere.port}"], spawns=2, warm=0)
        port = free_port()
        async with _served(settings, port):
            yield Demo(f"http://127.0.0.1:{port}{settings.prefix}/", f"{repositories}/course", hub)


Stop = Callable[[], Awaitable[object]]
"""Stops the server, as a visitor of this way does."""


def stop_on(page: Page) -> Stop:
    """Return what a visitor does who goes back to where the launch was made, and stops the server there."""
    seen: list[str] = []
    page.on("framenavigated", lambda frame: seen.append(frame.url))

    async def stop() -> None:
        await page.goto([url for url in seen if "/user/" not in url and "/hub/" not in url][-1])
        await page.get_by_role("button", name="Stop server").click()
        await page.get_by_role("button", name="Stop it").click()
        await expect(page.get_by_text("This server has stopped").first).to_be_visible(timeout=START_MS)

    return stop


async def by_the_page(page: Page, demo: Demo, _: Origin) -> Stop:
    stop = stop_on(page)
    await page.goto(demo.url)
    await page.get_by_role("radio", name="Scientific Python").check()
    await page.get_by_role("radio", name="1 CPU, 2 GB").check()
    await page.get_by_label("Repository").fill(demo.repo_url)
    await page.get_by_label("Open").fill("walk.ipynb")
    await page.get_by_role("button", name="Launch", exact=True).click()
    return stop


async def by_a_link_on_a_phone(page: Page, demo: Demo, _: Origin) -> Stop:
    stop = stop_on(page)
    await page.set_viewport_size(ViewportSize(width=360, height=740))
    await page.goto(f"{demo.url}?{urlencode(demo.chosen)}")
    await page.get_by_role("button", name="Launch", exact=True).click()
    return stop


async def by_an_element(page: Page, demo: Demo, elsewhere: Origin) -> Stop:
    stop = stop_on(page)
    attributes = " ".join(f'{name.replace("_", "-")}="{value}"' for name, value in demo.chosen.items())
    elsewhere.put(
        "/book",
        f"""<!DOCTYPE html><html lang="en"><title>A book</title><link rel="icon" href="data:,">
        <script type="module" src="{demo.url}static/hub-launch.js"></script>
        <h1>A book</h1><hub-launch {attributes}>Run this chapter</hub-launch>""",
    )
    await page.goto(f"http://127.0.0.1:{elsewhere.port}/book")
    await page.get_by_role("button", name="Run this chapter").click()
    return stop


async def by_the_command_line(page: Page, demo: Demo, _: Origin) -> Stop:
    chosen = ("--size", "small", "--repo", demo.repo_url, "--path", "walk.ipynb")
    done = await in_thread("launch", "scipy", *chosen, "--json", HUBLAUNCH_URL=demo.url)
    assert done.status == 0, done.err
    ready = done.objects()[-1]
    await page.goto(ready["open_url"])
    return lambda: in_thread("cancel", ready["launch_id"], HUBLAUNCH_URL=demo.url)


async def by_the_client(page: Page, demo: Demo, _: Origin) -> Stop:
    async with LaunchClient(demo.url) as client:
        chosen = demo.chosen
        launch = await client.launch(
            environment=chosen["environment"], size="small", repo_url=demo.repo_url, path=chosen["path"]
        )
        ready = [event async for event in client.follow(launch.id)][-1]
    assert ready.open_url, ready
    await page.goto(ready.open_url)

    secret = launch.secret
    assert secret

    async def stop() -> None:
        async with LaunchClient(demo.url, launch_secrets={launch.id: secret}) as client:
            while not await client.cancel(launch.id):
                pass

    return stop


WAYS = (by_the_page, by_a_link_on_a_phone, by_an_element, by_the_command_line, by_the_client)


@asynccontextmanager
async def visitor(context: BrowserContext) -> AsyncGenerator[Page]:
    """A page without the checks of `page`: JupyterLab has messages of its own."""
    page = await context.new_page()

    async def leave(dialog: Dialog) -> None:
        await dialog.accept()  # JupyterLab asks whether to leave the unsaved notebook

    page.on("dialog", leave)
    yield page
    await page.close()


@pytest.mark.parametrize("way", WAYS)
async def test_the_notebook_of_a_repository_opens_runs_and_leaves_an_empty_hub(
    context: BrowserContext, demo: Demo, elsewhere: Origin, way: Callable[[Page, Demo, Origin], Awaitable[Stop]]
) -> None:
    async with visitor(context) as page:
        stop = await way(page, demo, elsewhere)
        try:
            await expect(page).to_have_url(re.compile("/lab/tree/course/walk.ipynb"), timeout=START_MS)
            await page.set_viewport_size(ViewportSize(width=1280, height=800))  # JupyterLab does not fit a phone
            cell = page.locator(".jp-CodeCell .cm-content").first
            await expect(cell).to_contain_text("the answer is", timeout=START_MS)
            await expect(page.get_by_text("| Idle")).to_be_visible(timeout=START_MS)  # its kernel
            await cell.click()
            await page.keyboard.press("Shift+Enter")
            output = page.locator(".jp-OutputArea-output").first
            await expect(output).to_contain_text("the answer is 42", timeout=START_MS)
        finally:
            await stop()
    await demo.until_empty()
