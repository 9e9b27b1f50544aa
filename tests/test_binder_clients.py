"""BinderHub's clients from npm, with a `hublaunch serve` process."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.node import running
from tests.support.processes import Replica, replica
from tests.support.relay import Relay

SPEC = "gh/org/repo/main"
IMAGE = "quay.io/binder/org-repo:main"
TOKEN = "1d1f3c0e-7a1e-4d0c-9d40-2f6f9f7d9a51"

Event = dict[str, Any]


@pytest.fixture
async def service(hub: FakeHub, tmp_path: Path) -> AsyncGenerator[Replica]:
    mapped = json.dumps({"gh/*/*/*": "quay.io/binder/{1}-{2}:{3}", "gl/*/*": "quay.io/binder/{1}:{2}"})
    async with replica(hub, f"sqlite:///{tmp_path}/hublaunch.sqlite", LAUNCHER_BINDER_IMAGES=mapped) as service:
        yield service


@pytest.fixture
async def relay(service: Replica) -> AsyncGenerator[Relay]:
    async with Relay(str(service.http.base_url)) as relay:
        yield relay


@asynccontextmanager
async def binderhub_client(relay: Relay, spec: str = SPEC, **options: object) -> AsyncGenerator[AsyncGenerator[Event]]:
    arguments = (f"{relay.url}/build/", spec, json.dumps(options))
    async with running("binderhub_client.mjs", *arguments, flags=("--experimental-detect-module",)) as output:
        yield _json_lines(output)


@asynccontextmanager
async def event_source(relay: Relay, *how: str) -> AsyncGenerator[AsyncGenerator[Event]]:
    async with running("event_source.mjs", f"{relay.url}/build/{SPEC}", *how) as output:
        yield _json_lines(output)


async def _json_lines(output: asyncio.StreamReader) -> AsyncGenerator[Event]:
    async with asyncio.timeout(30):
        async for line in output:
            yield json.loads(line)


async def until(events: AsyncGenerator[Event], message: str) -> list[Event]:
    return await _until(events, "message", f"{message}\n")


async def until_phase(events: AsyncGenerator[Event], phase: str) -> list[Event]:
    return await _until(events, "phase", phase)


async def _until(events: AsyncGenerator[Event], name: str, value: str) -> list[Event]:
    told = []
    async for event in events:
        told.append(event)
        if event.get(name) == value:
            return told
    raise AssertionError(f"no such event came: {told}")


async def test_binderhub_client_reaches_ready(relay: Relay, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(messages=["Pulling", "Starting"], seconds=0.2))

    async with binderhub_client(relay) as events:
        told = [event async for event in events]

    phases = [event["phase"] for event in told]
    assert (phases[:3], phases[-1]) == (["waiting", "built", "launching"], "ready")
    assert told[1]["imageName"] == IMAGE
    assert (told[-1]["image"], told[-1]["repo_url"]) == (IMAGE, "https://github.com/org/repo")
    assert told[-1]["url"] == f"{hub.url}user/{next(iter(hub.users))}/"
    assert hub.tokens.find(told[-1]["token"]) is not None
    assert len(hub.users) == 1


async def test_binderhub_client_encodes_the_slash_of_gitlab_namespaces(relay: Relay, hub: FakeHub) -> None:
    async with binderhub_client(relay, "gl/group%2Fsub%2Frepo/main") as events:
        told = [event async for event in events]

    assert (told[-1]["phase"], told[-1]["image"]) == ("ready", "quay.io/binder/group/sub/repo:main")


async def test_binderhub_client_finds_the_same_launch_after_a_cut(relay: Relay, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(messages=["Pulling"], never=True))

    async with binderhub_client(relay, buildToken=TOKEN) as events:
        before = await until(events, "Pulling")
        relay.cut()
        lost = await anext(events)
        again = await until(events, "Pulling")
        hub.release(next(iter(hub.users)))
        rest = [event async for event in events]

    assert lost["phase"] == "failed"
    assert again == before
    assert rest[-1]["phase"] == "ready"
    assert len(hub.users) == 1


async def test_binderhub_client_shows_why_nothing_was_launched(hub: FakeHub, tmp_path: Path) -> None:
    refusing = {"LAUNCHER_ALLOWED_IMAGES": "quay.io/jupyter/*", "LAUNCHER_BINDER_IMAGES": json.dumps({"gh/*": IMAGE})}
    async with (
        replica(hub, f"sqlite:///{tmp_path}/hublaunch.sqlite", **refusing) as service,
        Relay(str(service.http.base_url)) as relay,
        binderhub_client(relay) as events,
    ):
        told = [event async for event in events]

    assert {event["phase"] for event in told} == {"failed"}
    assert "Choose an allowed image" in told[0]["message"]


async def test_binderhub_client_can_ask_for_the_image_without_a_launch(relay: Relay, hub: FakeHub) -> None:
    async with binderhub_client(relay, buildOnly=True) as events:
        told = [event async for event in events]

    assert [(event["phase"], event["imageName"]) for event in told] == [("ready", IMAGE)]
    assert hub.count("user_created") == 0


async def test_thebe_reaches_ready(relay: Relay, hub: FakeHub) -> None:
    async with event_source(relay) as events:
        told = [event async for event in events]

    assert [event["phase"] for event in told if event["phase"] != "launching"] == ["waiting", "built", "ready"]
    assert told[-1]["url"].startswith(hub.url)
    assert told[-1]["token"]
    assert len(hub.users) == 1


async def test_an_event_source_that_is_cut_resumes_where_it_was(relay: Relay, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(messages=["Pulling"], never=True))

    async with event_source(relay, "stubborn") as events:
        before = await until(events, "Pulling")
        relay.cut()
        assert await anext(events) == {"error": "lost"}
        hub.release(next(iter(hub.users)))
        rest = await until_phase(events, "ready")

    assert {event["launch_id"] for event in rest if "launch_id" in event} == {before[-1]["launch_id"]}
    assert "Pulling\n" not in [event["message"] for event in rest]
    assert (len(hub.users), relay.connections) == (1, 2)


@pytest.mark.parametrize("plan", [SpawnPlan(), SpawnPlan(fails="no such image")], ids=["ready", "failed"])
async def test_an_event_source_left_open_starts_no_second_launch(relay: Relay, hub: FakeHub, plan: SpawnPlan) -> None:
    """BinderHub has had this bug since 2017 (jupyterhub/binderhub#317)."""
    hub.spawn_plan(None, plan)

    async with event_source(relay, "stubborn") as events:
        async for event in events:
            if event.get("phase") in ("ready", "failed"):
                relay.cut()
        # it stopped by itself, because the stream was answered with 204

    assert (hub.count("spawn_started"), relay.connections) == (1, 2)
