"""`hublaunch doctor --launch`: one launch through the service, with each step reported and everything stopped."""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from hublaunch.client import LaunchClient
from hublaunch.doctor.finding import Finding
from hublaunch.doctor.trial import examine_launch
from hublaunch.settings import Settings
from tests.cli.commands import in_thread
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.kernel import Kernels
from tests.support.served import IMAGE, Service, serve
from tests.support.web import running

ACCEPTED = {"id": "1", "status": "waiting", "phase": "waiting", "progress": 0, "message": "Accepted", "attempt": 1}
EVENT = {"launch_id": "1", "seq": 1, "at": "2026-12-01T02:00:00Z", "attempt": 1, "progress": 0}


@dataclass
class Parts:
    """A service that launches at once, and the server that it started, on one socket."""

    page: web.Response = field(default_factory=lambda: web.Response(text="JupyterLab"))
    kernels: Kernels = field(default_factory=lambda: Kernels("a-token"))
    token: str | None = "a-token"
    cancelled: int = 0
    url: str = ""

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        app = web.Application()
        app.add_routes(
            [
                web.post("/launch", self._launch),
                web.get("/launch/1/events", self._events),
                web.delete("/launch/1", self._cancel),
                web.get("/user/a/lab", self._page),
                web.get("/hub/login", self._login),
                *self.kernels.routes("/user/a/"),
            ]
        )
        async with running(app) as port:
            self.url = f"http://127.0.0.1:{port}/"
            yield

    async def _launch(self, request: web.Request) -> web.Response:
        return web.json_response(ACCEPTED | {"created_at": EVENT["at"], "secret": "a-secret"}, status=202)

    async def _events(self, request: web.Request) -> web.Response:
        server = {"url": f"{self.url}user/a/", "open_url": f"{self.url}user/a/lab?token=a-token", "token": self.token}
        ready = EVENT | server | {"phase": "ready", "message": "Ready"}
        return web.Response(text=f"id: 1\ndata: {json.dumps(ready)}\n\n", content_type="text/event-stream")

    async def _cancel(self, request: web.Request) -> web.Response:
        self.cancelled += 1
        return web.Response(status=204)

    async def _page(self, request: web.Request) -> web.Response:
        return self.page

    async def _login(self, request: web.Request) -> web.Response:
        return web.Response(text="Sign in")


async def examined(parts: Parts) -> Mapping[str, Finding]:
    """Return the findings by their steps, in order."""
    async with parts.running():
        client = LaunchClient(parts.url, patience_s=5)
        return {finding.check: finding async for finding in examine_launch(client, image=IMAGE, environment="")}


async def test_every_step_is_timed_and_the_server_is_stopped() -> None:
    parts = Parts()

    found = await examined(parts)

    assert list(found) == ["launch", "start", "entry", "kernel", "stop"]
    assert {finding.state for finding in found.values()} == {"ok"}
    assert all(finding.message.endswith(" s).") for finding in found.values())
    assert found["kernel"].message.startswith("1+1 = 2 in a new kernel")
    assert parts.cancelled == 1


@pytest.mark.parametrize(
    ("parts", "step", "words"),
    [
        (Parts(page=web.Response(status=503)), "entry", "answered with 503"),
        (Parts(page=web.Response(status=302, headers={"Location": "/hub/login"})), "entry", "asks for a login"),
        (Parts(kernels=Kernels("a-token", status=403)), "kernel", "403"),
        (Parts(kernels=Kernels("a-token", says=[])), "kernel", "1+1 gave None"),
        (Parts(token=None), "entry", "no token"),
    ],
)
async def test_a_step_that_fails_is_named_and_the_server_is_stopped(parts: Parts, step: str, words: str) -> None:
    found = await examined(parts)

    assert list(found)[-2:] == [step, "stop"]
    assert (found[step].state, found["stop"].state) == ("fault", "ok")
    assert words in found[step].message
    assert found[step].advice
    assert "a-token" not in str(found)
    assert parts.cancelled == 1


async def doctor(settings: Settings, service: Service, *arguments: str) -> tuple[int, Mapping[str, Any]]:
    done = await in_thread(
        "doctor",
        "--json",
        *arguments,
        LAUNCHER_HUB_URL=settings.hub_url,
        LAUNCHER_HUB_API_TOKEN=settings.hub_api_token.get_secret_value(),
        LAUNCHER_DATABASE_URL=settings.database_url,
        LAUNCHER_ALLOWED_IMAGES="*",
        HUBLAUNCH_URL=str(service.http.base_url),
    )
    return done.status, {finding["check"]: finding for finding in done.objects()}


async def test_a_failed_launch_is_reported_in_the_words_of_its_problem(settings: Settings, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(fails='Failed to pull image "a/b:9": manifest unknown'))
    async with serve(settings) as service:
        status, found = await doctor(settings, service, "--launch", IMAGE)
        await hub.until(lambda: not hub.users)

    fault = found["start"]
    assert (status, fault["state"]) == (1, "fault")
    assert "The image does not exist, or access to it is denied (image_not_found)" in fault["message"]
    assert "Check the image's registry, name and tag" in fault["advice"]
    assert "hublaunch show " in fault["advice"]


async def test_a_refused_launch_is_reported_in_the_words_of_its_problem(settings: Settings, hub: FakeHub) -> None:
    async with serve(settings) as service:
        status, found = await doctor(settings, service, "--environment", "no-such-environment")

    assert status == 1
    assert found["launch"]["state"] == "fault"
    assert "The service refused." in found["launch"]["message"]
    assert "environment" in found["launch"]["message"]
    assert "start" not in found
    assert not hub.asked("create_user")


async def test_an_image_and_an_environment_together_are_wrong_usage() -> None:
    done = await in_thread("doctor", "--launch", IMAGE, "--environment", "scipy")

    assert (done.status, done.err) == (2, "Use --launch or --environment, not both.\n")
