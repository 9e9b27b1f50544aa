"""hublaunch on a real socket, and a client for it."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from hublaunch.api.pace import WebPace
from hublaunch.launch.pace import Pace
from hublaunch.main import create_app
from hublaunch.settings import Settings
from tests.fakes.asgi_server import AsgiServer

IMAGE = "quay.io/jupyter/base-notebook:latest"
REPO = "https://github.com/org/repo"
PREFIXES = ("/services/launcher", "/@/space%20word/services/launcher")
"""Prefixes of the service, as JupyterHub gives them; the second is from JupyterHub's own tests."""
BODY = {"image": IMAGE, "repo_url": REPO}


@dataclass(frozen=True)
class Service:
    """A running hublaunch, as callers see it."""

    http: httpx.AsyncClient
    app: Any
    state: dict[str, Any]
    server: AsgiServer

    async def launch(self, **body: object) -> dict[str, Any]:
        """Return the answer to a POST that was accepted."""
        answer = await self.http.post("/launch", json=BODY | body)
        assert answer.status_code == 202, answer.text
        accepted: dict[str, Any] = answer.json()
        return accepted

    async def events(self, url: str, **headers: str) -> list[dict[str, Any]]:
        """Return all events of a stream, once it has ended."""
        async with self.http.stream("GET", url, headers=headers) as stream:
            assert stream.status_code == 200
            return [event async for event in read_events(stream)]

    async def cancel(self, accepted: dict[str, Any]) -> None:
        """Cancel the launch, and return once the Hub has confirmed it."""
        headers = {"X-Launch-Secret": accepted["secret"]}
        while (await self.http.delete(f"/launch/{accepted['id']}", headers=headers)).status_code != 204:
            pass


async def read_events(stream: httpx.Response) -> AsyncGenerator[dict[str, Any]]:
    """Yield the data of a stream's stored events. Each must carry its number as the SSE id."""
    event_id = ""
    async for line in stream.aiter_lines():
        if line.startswith("id: "):
            event_id = line[4:]
        if line.startswith("data: {") and "launch_id" in line:
            event: dict[str, Any] = json.loads(line[6:])
            assert str(event["seq"]) == event_id
            yield event


@asynccontextmanager
async def serve(
    settings: Settings, *, pace: Pace = Pace(), web_pace: WebPace = WebPace(), **changed: object
) -> AsyncGenerator[Service]:
    """Serve hublaunch with these settings, of which some are changed (without being validated)."""
    settings = settings.model_copy(update=changed)
    app = create_app(settings, pace=pace, web_pace=web_pace)
    async with app.router.lifespan_context(app) as state:
        server = AsgiServer(app, state=state)
        await server.start()
        url = f"http://127.0.0.1:{server.port}{settings.prefix}"
        try:
            async with httpx.AsyncClient(base_url=url, trust_env=False, verify=False, timeout=15) as http:
                yield Service(http=http, app=app, state=dict(state or {}), server=server)
        finally:
            await server.close()
