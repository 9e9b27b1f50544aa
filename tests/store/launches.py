"""Launches and steps to store."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from ulid import ULID

from hublaunch.launch.caller import Caller
from hublaunch.launch.model import Attempt, Event, Launch, LaunchRequest, Status, Step
from hublaunch.launch.news import LogGrew
from hublaunch.launch.problem import Problem
from hublaunch.sealing import Sealer
from hublaunch.store.sql import SqlLaunchStore
from hublaunch.wiring.tasks import Background

PULLING = Step(phase=Status.LAUNCHING, progress=20, message="Pulling the image")
READY = Step(
    phase=Status.READY,
    progress=100,
    message="The server is ready",
    url="https://hub.example.org/user/repo-1/",
    token="a-token-that-nobody-may-find",
    token_expires_at=datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
)
FAILED = Step(
    phase=Status.FAILED,
    progress=20,
    message="The server could not be started",
    problem=Problem(
        code="spawn_failed",
        title="No server",
        detail="ImagePullBackOff",
        advice="Check the image.",
        operator_advice="Check the registry.",
    ),
)
CANCELLED = Step(phase=Status.CANCELLED, progress=20, message="Cancelled")


def new_launch(**changes: Any) -> Launch:
    launch_id, now = str(ULID()), datetime.now(UTC)
    facts: dict[str, Any] = {
        "id": launch_id,
        "caller": Caller(kind="anonymous", key="192.0.2.7"),
        "request": LaunchRequest(image="quay.io/jupyter/base-notebook:latest", repo_url="https://example.org/a/repo"),
        "status": Status.WAITING,
        "created_at": now,
        "deadline_at": now + timedelta(seconds=600),
        "attempt": Attempt(launch_id=launch_id, number=1, username=f"repo-{launch_id.lower()}"),
        "last_event": first_event(launch_id, now),
    }
    return Launch(**{**facts, **changes})


async def accepted(store: SqlLaunchStore, **changes: Any) -> Launch:
    return await store.intake.accept(new_launch(**changes))


async def ready_launch(store: SqlLaunchStore, **changes: Any) -> Launch:
    launch = await accepted(store, **changes)
    await store.log.append(launch, PULLING)
    await store.log.append(launch, READY)
    return launch


async def read_back(store: SqlLaunchStore, launch: Launch) -> Launch:
    """Return the launch as it is stored now."""
    found = await store.log.get(launch.id)
    assert found is not None
    return found


@asynccontextmanager
async def listening(url: str, sealer: Sealer) -> AsyncGenerator[tuple[asyncio.Queue[LogGrew], asyncio.Event]]:
    """Listen as another process. Yield a queue of its news of logs, and an event that any other news sets."""
    told, work = asyncio.Queue[LogGrew](), asyncio.Event()
    store = SqlLaunchStore(url, sealer=sealer)
    store.news.subscribe(lambda news: told.put_nowait(news) if isinstance(news, LogGrew) else work.set())
    async with asyncio.timeout(20), store, Background().running("notices", store.listen):
        await work.wait()
        work.clear()
        yield told, work


def first_event(launch_id: str, at: datetime) -> Event:
    return Event(launch_id=launch_id, seq=1, at=at, attempt=1, phase=Status.WAITING, progress=0, message="Accepted")


def heard_events(store: SqlLaunchStore) -> list[Event]:
    """Return a list that receives all events from now on."""
    heard: list[Event] = []
    store.news.subscribe(lambda news: heard.append(news) if isinstance(news, Event) else None)
    return heard


def second_attempt(launch: Launch) -> Attempt:
    return Attempt(launch_id=launch.id, number=2, username="second", server_name="of-two", creates_user=False)
