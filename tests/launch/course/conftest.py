"""A store, and an attempt, for the tests of a launch's course."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hublaunch.hub.client import HubClient
from hublaunch.store.sql import SqlLaunchStore
from tests.fakes.hub import FakeHub
from tests.support.attempted import Attempted
from tests.support.launching import SEALER


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlLaunchStore]:
    async with SqlLaunchStore(f"sqlite:///{tmp_path}/l.sqlite", sealer=SEALER) as store, asyncio.timeout(30):
        yield store


@pytest.fixture
def attempted(hub: FakeHub, client: HubClient) -> Attempted:
    return Attempted(hub, client)
