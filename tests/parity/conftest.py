"""The library's `Launcher`, connected to a fake Hub."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from hublaunch.launcher import Launcher
from tests.fakes.hub import FakeHub
from tests.support.pace import QUICK


@pytest.fixture
def connect(hub: FakeHub) -> Any:
    def connect(**settings: Any) -> Any:
        given: dict[str, Any] = {"hub_url": hub.url, "hub_api_token": hub.api_token, "retry_delay": 0} | settings
        return Launcher.connect(pace=QUICK, **given)

    return connect


@pytest.fixture
async def launcher(connect: Any) -> AsyncGenerator[Launcher]:
    async with connect() as launcher:
        yield launcher
