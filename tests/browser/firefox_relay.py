"""A Firefox that Playwright can drive over WebDriver BiDi, with a relay between the two.

Playwright emulates media features in each new context. Firefox 153 does not know that command, so the relay answers it;
preferences such as `ui.prefersReducedMotion` do what it would do. Run as a program, with Firefox's arguments.
"""

import asyncio
import json
import os
import re
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import aiohttp
from aiohttp import web

from tests.browser.firefox import firefox
from tests.support.web import running

_UNKNOWN = "emulation.setMediaFeaturesOverride"
_LISTENING = re.compile(rb"(WebDriver BiDi listening on )ws://(\S+)")


def write_program(directory: Path) -> Path:
    """Write a program that Playwright can start as its Firefox, and return its path."""
    program = directory / "firefox"
    root = Path(__file__).parents[2]
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{root}" exec "{sys.executable}" -m tests.browser.firefox_relay "$@"\n')
    program.chmod(0o755)
    return program


async def _run(arguments: list[str]) -> int:
    """Run Firefox, and print the relay's address where Firefox prints its own. Return Firefox's exit status."""
    browser = await asyncio.create_subprocess_exec(str(firefox()), *arguments, stderr=PIPE)
    assert browser.stderr
    address = ""

    async def relay(request: web.Request) -> web.WebSocketResponse:
        return await _relay(request, f"http://{address}{request.path}")

    app = web.Application()
    app.router.add_get("/{path:.*}", relay)
    async with running(app) as port:
        async for line in browser.stderr:
            if found := _LISTENING.search(line):
                address = found[2].decode()
            sys.stderr.buffer.write(_LISTENING.sub(rb"\1ws://127.0.0.1:%d" % port, line))
            sys.stderr.flush()
        return await browser.wait()


async def _relay(request: web.Request, url: str) -> web.WebSocketResponse:
    playwright = web.WebSocketResponse(max_msg_size=0)
    await playwright.prepare(request)
    async with aiohttp.ClientSession() as http, http.ws_connect(url, max_msg_size=0) as browser:

        async def answers() -> None:
            async for answer in browser:
                await playwright.send_str(answer.data)
            await playwright.close()

        answering = asyncio.create_task(answers())
        async for command in playwright:
            asked = json.loads(command.data)
            if asked["method"] == _UNKNOWN:
                await playwright.send_json({"type": "success", "id": asked["id"], "result": {}})
            else:
                await browser.send_str(command.data)
        await browser.close()
        await answering
    return playwright


if __name__ == "__main__":
    status = asyncio.run(_run(sys.argv[1:]))
    os._exit(status)  # Playwright may still hold the connection
