"""`hublaunch demo --check` where something is wrong: each fault ends it with 1 and a sentence."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from hublaunch.demo.check import check_launch
from hublaunch.demo.process import HubProcess
from tests.support.kernel import RESULT, Kernels
from tests.support.web import running

READY = {"launch_id": "1", "phase": "ready", "progress": 100, "message": "Ready", "token": "t"}
WAITING = {"launch_id": "1", "phase": "waiting", "progress": 0, "message": "Accepted"}
FAILED = {"launch_id": "1", "phase": "failed", "progress": 50, "message": "Failed"}


@dataclass
class Demo:
    """All that the check talks to, on one socket: hublaunch, a server with its kernel, and the Hub."""

    events: list[dict[str, Any]] = field(default_factory=lambda: [WAITING, READY])
    launch_status: int = 200
    page: str = "<script id=jupyter-config-data>"
    kernels: Kernels = field(default_factory=lambda: Kernels("t"))
    cancel_statuses: list[int] = field(default_factory=lambda: [202, 204])
    user_status: int = 404
    url: str = ""

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        app = web.Application()
        app.add_routes(
            [
                web.post("/launch", self._launch),
                web.delete("/launch/1", self._cancel),
                web.get("/user/a/lab", self._page),
                *self.kernels.routes("/user/a/"),
                web.get("/hub/api/users/a", self._user),
            ]
        )
        async with running(app) as port:
            self.url = f"http://127.0.0.1:{port}"
            yield

    async def _launch(self, request: web.Request) -> web.Response:
        entry = {"url": f"{self.url}/user/a/", "open_url": f"{self.url}/user/a/lab?token=t"}
        text = "".join(f"id: 1\ndata: {json.dumps(event | entry)}\n\n" for event in self.events)
        headers = {"Location": "/launch/1", "X-Launch-Secret": "s"}
        return web.Response(
            text=f"retry: 1000\n{text}", status=self.launch_status, headers=headers, content_type="text/event-stream"
        )

    async def _cancel(self, request: web.Request) -> web.Response:
        assert request.headers["X-Launch-Secret"] == "s"
        return web.Response(status=self.cancel_statuses.pop(0))

    async def _page(self, request: web.Request) -> web.Response:
        return web.Response(text=self.page, content_type="text/html")

    async def _user(self, request: web.Request) -> web.Response:
        return web.Response(status=self.user_status)


async def check_of(demo: Demo, state: Path, *, timeout_s: float = 60) -> int:
    async with demo.running():
        hub = HubProcess(state=state, proxy_command=["unused"])
        hub.local_url = f"{demo.url}/"
        return await check_launch(demo.url, hub, timeout_s=timeout_s)


async def test_a_working_demo_passes_and_prints_each_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await check_of(Demo(), tmp_path) == 0

    said = capsys.readouterr()
    assert said.err == ""
    assert [line.split()[0] for line in said.out.splitlines()] == [
        *("waiting", "ready", "opened", "kernel", "cancelled", "clean", "The")
    ]


@pytest.mark.parametrize(
    ("demo", "sentence"),
    [
        (Demo(launch_status=503), "503"),
        (Demo(events=[WAITING, FAILED | {"problem": {"detail": "no such image"}}]), "no such image"),
        (Demo(events=[WAITING, FAILED | {"phase": "cancelled", "message": "Cancelled"}]), "Cancelled"),
        (Demo(events=[WAITING]), "the stream ended before the launch did."),
        (Demo(page="<h1>Please log in</h1>"), "the server's page answered 200 and is not JupyterLab."),
        (Demo(kernels=Kernels("t", says=[RESULT | {"content": {"data": {"text/plain": "3"}}}])), "1+1 gave '3'."),
        (Demo(kernels=Kernels("t", says=[{"msg_type": "error", "content": {"evalue": "boom"}}])), "1+1 gave 'boom'."),
        (Demo(kernels=Kernels("t", says=[])), "1+1 gave None."),
        (Demo(cancel_statuses=[500]), "500"),
        (Demo(user_status=200), "the Hub still has the user."),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_failed_check_returns_1_and_prints_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], demo: Demo, sentence: str
) -> None:
    assert await check_of(demo, tmp_path) == 1

    said = capsys.readouterr()
    assert said.err.startswith("The check failed: ")
    assert sentence in said.err
    assert "passed" not in said.out


async def test_a_check_that_takes_too_long_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await check_of(Demo(cancel_statuses=[202] * 100), tmp_path, timeout_s=0.05) == 1

    assert capsys.readouterr().err == "The check failed: it took too long.\n"
