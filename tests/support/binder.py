"""A client of `/build`, which reads streams as BinderHub's clients do."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import httpx

from hublaunch.api.pace import WebPace
from hublaunch.binderhub.schemas import BuildEvent
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub
from tests.support.served import Service, serve

SPEC = "/build/gh/org/repo/main"
IMAGE = "quay.io/binder/org-repo:main"
ACCEPT = {"Accept": "text/event-stream"}
TOKEN = "1d1f3c0e-7a1e-4d0c-9d40-2f6f9f7d9a51"
FRONTEND = "https://book.example.org"

Event = tuple[str, dict[str, Any]]
"""The id and the data of an event."""


@asynccontextmanager
async def build(service: Service, url: str = SPEC, **headers: str) -> AsyncGenerator[AsyncGenerator[Event]]:
    """Open a stream and yield its events; the client closes it on leaving."""
    sent = ACCEPT | {name.replace("_", "-"): value for name, value in headers.items()}
    async with service.http.stream("GET", url, headers=sent) as stream:
        assert stream.status_code == 200, await stream.aread()
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        async with aclosing(_events(stream)) as events:
            yield events


async def _events(stream: httpx.Response) -> AsyncGenerator[Event]:
    event_id = ""
    async for line in stream.aiter_lines():
        assert not line.startswith("event:"), "Thebe listens to unnamed events only"
        if line.startswith("id: "):
            event_id = line[4:]
        elif line.startswith("data: "):
            data = json.loads(line[6:])
            undocumented = BuildEvent.model_validate(data).model_extra or {}
            assert all(field.startswith("binder_") for field in undocumented), undocumented
            yield event_id, data


async def ended(service: Service, url: str = SPEC, **headers: str) -> list[Event]:
    """Return all events up to the one after which BinderHub's clients close the stream."""
    seen = []
    async with build(service, url, **headers) as events:
        async for event in events:
            seen.append(event)
            if event[1]["phase"] in ("ready", "failed"):
                return seen
    raise AssertionError("the stream ended before the launch")


async def until(events: AsyncGenerator[Event], message: str) -> Event:
    """Return the first event with this message."""
    async for event in events:
        if event[1]["message"] == f"{message}\n":
            return event
    raise AssertionError("there was no such event")


@asynccontextmanager
async def for_ada(
    settings: Settings, hub: FakeHub, *, named: bool = True, web_pace: WebPace = WebPace()
) -> AsyncGenerator[Service]:
    """Serve hublaunch for the Hub user ada, whose token every request carries."""
    token = hub.token_of("ada")
    changed = {"access": ("hub",), "allow_named_servers": named}
    async with serve(settings.model_copy(update=changed), web_pace=web_pace) as service:
        service.http.headers["Authorization"] = f"Bearer {token}"
        yield service
