"""The two classes with BinderHub's interface: `hublaunch.Launcher` and `hublaunch.binderhub.Launcher`."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from hublaunch.binderhub import Launcher as DropIn
from hublaunch.launcher import Launcher
from tests.fakes.hub import FakeHub
from tests.support.pace import QUICK

Connect = Callable[..., AbstractAsyncContextManager[Any]]
"""Takes the settings or traits of a launcher, and yields the launcher."""


def _native(**settings: Any) -> AbstractAsyncContextManager[Any]:
    return Launcher.connect(pace=QUICK, **settings)


@asynccontextmanager
async def _drop_in(**traits: Any) -> AsyncGenerator[Any]:
    launcher = DropIn(**traits)
    launcher._pace = QUICK
    yield launcher


CLASSES: Mapping[str, Connect] = {"hublaunch.Launcher": _native, "hublaunch.binderhub.Launcher": _drop_in}

only_native = pytest.mark.parametrize("connect", ["hublaunch.Launcher"], indirect=True)
only_drop_in = pytest.mark.parametrize("connect", ["hublaunch.binderhub.Launcher"], indirect=True)


@pytest.fixture
def address(hub: FakeHub) -> dict[str, Any]:
    """The settings, or traits, that lead to the Hub."""
    return {"hub_url": hub.url, "hub_api_token": hub.api_token}


@pytest.fixture(params=CLASSES)
def connect(request: pytest.FixtureRequest, address: dict[str, Any]) -> Connect:
    """Each of the classes, connected to the Hub."""

    def connect(**given: Any) -> AbstractAsyncContextManager[Any]:
        return CLASSES[request.param](**{"retry_delay": 0} | address | given)

    return connect


@pytest.fixture
async def launcher(connect: Connect) -> AsyncGenerator[Any]:
    async with connect() as launcher:
        yield launcher
