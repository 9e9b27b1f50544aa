"""WebKitGTK's browser, driven by the WebDriver protocol. Run as a program, this module installs both if needed.

WebKitGTK has Safari's engine. It is not Safari: what Safari adds, such as its tracking prevention, is not tested.
https://www.w3.org/TR/webdriver2/
"""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from tests.support.debian import Missing, install
from tests.support.processes import free_port

ADVICE = (
    "There is no WebKit to test with. Install your system's WebKitWebDriver, its MiniBrowser and Xvfb (Debian: apt-get "
    "install webkit2gtk-driver xvfb)."
)
_WITHIN_S = 30
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""The key of a reference to an element, which the protocol prescribes."""
_FIND = """
const all = (root) => [...root.querySelectorAll("button, a")].concat(
  ...[...root.querySelectorAll("*")].filter((one) => one.shadowRoot).map((one) => all(one.shadowRoot)));
const slotted = (one) => [...one.querySelectorAll("slot")].flatMap((slot) => slot.assignedNodes());
const name = (one) => (slotted(one).length ? slotted(one) : [one]).map((node) => node.textContent).join("").trim();
return all(document).find((one) => one.checkVisibility() && name(one) === arguments[0]) ?? null;
"""
TEXT = """
const text = (root) => [root.innerText ?? [...root.children].map((one) => one.innerText ?? "").join(" ")].concat(
  ...[...root.querySelectorAll("*")].filter((one) => one.shadowRoot).map((one) => text(one.shadowRoot)));
return text(document.body).join(" ");
"""


def mini_browser() -> Path:
    """Return the browser that the driver starts. Raises Missing without it, the driver or Xvfb."""
    found = sorted(Path("/usr").glob("lib*/**/webkit2gtk-4.*/MiniBrowser"))
    if not found or not all(map(shutil.which, ("WebKitWebDriver", "Xvfb"))):
        raise Missing(ADVICE)
    return found[-1]


@dataclass(frozen=True)
class WebKit:
    """One window of a fresh WebKit."""

    _http: httpx.AsyncClient

    async def goto(self, url: str) -> None:
        await self._do("POST", "url", url=url)

    async def url(self) -> str:
        return str(await self._do("GET", "url"))

    async def back(self) -> None:
        await self._do("POST", "back")

    async def evaluate(self, expression: str) -> Any:
        return await self._run(f"return {expression}")

    async def text(self) -> str:
        """Return the visible text, that of shadow roots included."""
        return str(await self._run(TEXT))

    async def press(self, name: str) -> None:
        """Click the button or link with this text, as soon as there is one."""
        async with asyncio.timeout(_WITHIN_S):
            while (found := await self._run(_FIND, name)) is None:  # noqa: ASYNC110 - WebDriver tells of no change
                await asyncio.sleep(0.05)
        await self._do("POST", f"element/{found[_ELEMENT]}/click")

    async def _run(self, script: str, *arguments: str) -> Any:
        return await self._do("POST", "execute/sync", script=script, args=list(arguments))

    async def _do(self, method: str, command: str, **body: Any) -> Any:
        answer = await self._http.request(method, command, json=body if method == "POST" else None)
        assert answer.is_success, answer.text
        return answer.json()["value"]


@asynccontextmanager
async def opened(*, stores: bool) -> AsyncGenerator[WebKit]:
    """Yield a fresh WebKit, which denies pages all storage unless it `stores`. Raises Missing."""
    browser, port = await asyncio.to_thread(mini_browser), free_port()
    denied = ("--enable-html5-local-storage=false", "--cookies-policy=never")
    options = {"binary": str(browser), "args": ["--automation", *(() if stores else denied)]}
    with TemporaryDirectory() as home:
        driver = await asyncio.create_subprocess_exec(
            *("xvfb-run", "--auto-servernum", "WebKitWebDriver", f"--port={port}"),
            env={"PATH": "/usr/bin:/bin", "HOME": home, "XDG_RUNTIME_DIR": home, "NO_PROXY": "127.0.0.1"},
            start_new_session=True,
        )
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as http:
                session = await _session(http, {"alwaysMatch": {"webkitgtk:browserOptions": options}})
                http.base_url = httpx.URL(f"http://127.0.0.1:{port}/session/{session}/")
                yield WebKit(http)
                await http.delete(f"http://127.0.0.1:{port}/session/{session}")
        finally:
            os.killpg(driver.pid, signal.SIGKILL)  # xvfb-run leaves its programs behind
            await driver.wait()


async def _session(http: httpx.AsyncClient, capabilities: dict[str, Any]) -> str:
    async with asyncio.timeout(30):
        while True:
            try:
                answer = await http.post("/session", json={"capabilities": capabilities})
            except httpx.ConnectError:
                await asyncio.sleep(0.05)  # the driver does not say when it listens
                continue
            assert answer.is_success, answer.text
            return str(answer.json()["value"]["sessionId"])


def main() -> None:
    """Print the path of the browser. Without one, install it as root on Debian; elsewhere print how to install it."""
    try:
        try:
            found = mini_browser()
        except Missing:
            install("webkit2gtk-driver", "xvfb", "xauth", advice=ADVICE)
            found = mini_browser()
        sys.stdout.write(f"{found}\n")
    except Missing as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
