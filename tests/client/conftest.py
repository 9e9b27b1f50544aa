"""Clients, async and not, of the real service and of the fake."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from hublaunch.settings import Settings
from tests.client.worlds import Client, Connect, FakeWorld, World, real_world
from tests.fakes.hub import FakeHub


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let clients pause for milliseconds where the service asks for no pause."""
    monkeypatch.setattr("hublaunch.client.patience._FIRST_S", 0.02)


@pytest.fixture(params=["async-service", "async-fake", "sync-fake"])
async def connect(
    request: pytest.FixtureRequest, settings: Settings, hub: FakeHub, tmp_path: Path
) -> AsyncGenerator[Connect]:
    kind, _, service = request.param.partition("-")
    if service == "fake":
        yield Connect(FakeWorld(), is_async=kind == "async")
        return
    async with real_world(settings, hub, tmp_path) as world:
        yield Connect(world, is_async=True)


@pytest.fixture
def world(connect: Connect) -> World:
    return connect.world


@pytest.fixture
async def client(connect: Connect) -> AsyncGenerator[Client]:
    async with connect() as client:
        yield client
