"""A visitor's walk in Firefox and in WebKit: launch, a killed and restarted service, the server, and Back."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
from playwright.async_api import Page, async_playwright

from tests.browser import webkit
from tests.browser.conftest import WITHIN_MS
from tests.browser.firefox import firefox
from tests.browser.firefox_relay import write_program
from tests.browser.stage import HELD, Origin, Stage, watch
from tests.browser.test_element import embed
from tests.hubs.mortal import MortalHub
from tests.support.debian import explained
from tests.support.processes import free_port, replica

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="session")]

WITHIN_S = 60
KEPT = {("webkit", "element")}
"""The pages that Back does not load again: the browser has kept them as they were."""
UNREACHABLE = "CORS request did not succeed"
"""What Firefox says of a service on another origin that does not run."""
HAS_STORAGE = "(() => { try { return Boolean(window.localStorage); } catch { return false; } })()"


class Window(Protocol):
    """A browser's window, as a visitor uses it."""

    async def goto(self, url: str) -> None: ...

    async def url(self) -> str: ...

    async def back(self) -> None: ...

    async def evaluate(self, expression: str) -> Any: ...

    async def text(self) -> str:
        """Return the visible text, that of shadow roots included."""

    async def press(self, name: str) -> None:
        """Click the button or link with this text, as soon as there is one."""


@dataclass(frozen=True)
class FirefoxWindow:
    """A window of Firefox."""

    _page: Page

    async def goto(self, url: str) -> None:
        await self._page.goto(url)

    async def url(self) -> str:
        return self._page.url

    async def back(self) -> None:
        await self._page.go_back()

    async def evaluate(self, expression: str) -> Any:
        return await self._page.evaluate(expression)

    async def text(self) -> str:
        return str(await self._page.evaluate(f"(function () {{{webkit.TEXT}}})()"))

    async def press(self, name: str) -> None:
        await (
            self._page.get_by_role("button", name=name, exact=True)
            .or_(self._page.get_by_role("link", name=name, exact=True))
            .click()
        )


@asynccontextmanager
async def in_firefox(directory: Path, *, stores: bool) -> AsyncGenerator[Window]:
    """A fresh Firefox, which denies pages all storage unless it `stores`."""
    preferences: dict[str, str | float | bool] = {"browser.sessionhistory.max_total_viewers": 0}
    if not stores:
        preferences |= {"network.cookie.cookieBehavior": 2, "dom.storage.enabled": False}
    await asyncio.to_thread(firefox)
    async with async_playwright() as playwright:
        browser = await playwright.firefox.launch(
            channel="moz-firefox", executable_path=write_program(directory), firefox_user_prefs=preferences
        )
        context = await browser.new_context()
        context.set_default_timeout(WITHIN_MS)
        page = await context.new_page()
        complaints = watch(page)
        yield FirefoxWindow(page)
        await browser.close()
    assert [one for one in complaints if UNREACHABLE not in one] == []


@asynccontextmanager
async def in_webkit(_: Path, *, stores: bool) -> AsyncGenerator[Window]:
    """A fresh WebKit, which denies pages all storage unless it `stores`. It does not report errors of scripts."""
    async with webkit.opened(stores=stores) as window:
        yield window


ENGINES: dict[str, Callable[..., AbstractAsyncContextManager[Window]]] = {"firefox": in_firefox, "webkit": in_webkit}


async def until_there(window: Window, pattern: str) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not re.search(pattern, await window.url()):  # noqa: ASYNC110 - no driver tells of it
            await asyncio.sleep(0.1)


async def until_shown(window: Window, words: str) -> None:
    async with asyncio.timeout(WITHIN_S):
        while words not in await window.text():  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("place", ["page", "element"])
@pytest.mark.parametrize("stores", [True, False], ids=["storage", "no-storage"])
@pytest.mark.parametrize("engine", ENGINES)
async def test_a_visitor_launches_through_a_restart_of_the_service_enters_and_comes_back(
    hub_with_gates: MortalHub, elsewhere: Origin, tmp_path: Path, engine: str, stores: bool, place: str
) -> None:
    name = f"{engine}-{place}-{'on' if stores else 'off'}"
    database, port = f"sqlite:///{tmp_path}/hublaunch.sqlite", free_port()
    stage = Stage(hub_with_gates, f"http://127.0.0.1:{port}/")
    button = "Launch" if place == "page" else "Run this chapter"
    cors = {"LAUNCHER_CORS_ORIGINS": f"http://127.0.0.1:{elsewhere.port}"}
    with explained():
        async with ENGINES[engine](tmp_path, stores=stores) as window:
            async with replica(hub_with_gates, database, port, **cors) as service:
                await window.goto(stage.link(name) if place == "page" else embed(elsewhere, stage, name))
                assert await window.evaluate(HAS_STORAGE) is stores
                await window.press(button)
                user = await stage.spawning(name)
                await until_shown(window, HELD)
                await service.kill()
            async with replica(hub_with_gates, database, port, **cors):
                stage.hub.open_gate(user)
                await until_there(window, rf"/user/{user}/")

                await window.back()

                # A page that is loaded again has forgotten the launch without storage, and starts nothing by itself.
                knows = stores or (engine, place) in KEPT
                await until_shown(window, "Open server" if knows else button)
                assert await stage.users(name) == [user]
