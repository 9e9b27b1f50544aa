"""A client beside the service, and a way between them that a test can break."""

from collections.abc import AsyncGenerator

import pytest

from hublaunch.client import LaunchClient
from tests.support.relay import Relay
from tests.support.served import Service


@pytest.fixture
async def relay(service: Service) -> AsyncGenerator[Relay]:
    async with Relay(str(service.http.base_url)) as relay:
        yield relay


@pytest.fixture
async def launcher(relay: Relay) -> AsyncGenerator[LaunchClient]:
    async with LaunchClient(relay.url, patience_s=10) as launcher:
        yield launcher
