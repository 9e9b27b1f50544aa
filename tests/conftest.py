"""Fixtures of most tests: a fake Hub, and hublaunch served on a socket beside it."""

import asyncio
import os
from collections.abc import AsyncGenerator, Generator
from functools import cache
from pathlib import Path

import hypothesis
import pytest
from pydantic import SecretStr

from hublaunch.hub.client import HubClient
from hublaunch.hub.connect import connect_hub
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub
from tests.support.postgres import Postgres, running_postgres
from tests.support.served import Service, serve
from tests.support.sqlite import migrated

# If the machine is busy, that is not the example's fault.
hypothesis.settings.register_profile("hublaunch", deadline=None)
hypothesis.settings.load_profile("hublaunch")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need a PostgreSQL."""
    for item in items:
        parameters = (
            item.callspec.params.values() if isinstance(item, pytest.Function) and hasattr(item, "callspec") else ()
        )
        if "postgresql" in parameters or "postgres" in getattr(item, "fixturenames", ()):
            item.add_marker("postgresql")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the machine's variables and .env out of the tests, and the files of tests out of the project."""
    for name in os.environ:
        if name.startswith(("LAUNCHER_", "JUPYTERHUB_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def postgres() -> Generator[Postgres]:
    """A PostgreSQL for all tests; each takes a database of its own."""
    with running_postgres() as postgres:
        yield postgres


@pytest.fixture
async def hub() -> AsyncGenerator[FakeHub]:
    """A fake Hub that answers a start immediately, as z2jh's does."""
    async with FakeHub() as hub:
        hub.slow_spawn_timeout = 0
        yield hub


@cache
def validated() -> Settings:
    """Return settings to copy. Their validation takes a tenth of the time of an API test."""
    return Settings(
        hub_url="http://127.0.0.1/",
        hub_api_token="t" * 8,
        allowed_images=("*",),
        preflight="off",  # no test asks a registry on the internet
        retry_delay=0,
        launch_timeout=20,
    )


@pytest.fixture
def settings(hub: FakeHub, tmp_path: Path) -> Settings:
    changed = {
        "hub_url": hub.url,
        "hub_api_token": SecretStr(hub.api_token),
        "database_url": migrated(tmp_path / "hublaunch.sqlite"),
    }
    return validated().model_copy(update=changed)


@pytest.fixture
async def client(settings: Settings) -> AsyncGenerator[HubClient]:
    async with connect_hub(settings) as client:
        yield client


@pytest.fixture
async def service(settings: Settings) -> AsyncGenerator[Service]:
    """hublaunch on a socket; nothing of it is left running after the test."""
    async with serve(settings) as service:
        yield service
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("launch ")]
