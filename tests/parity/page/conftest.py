"""BinderHub's page on its class `Launcher`, row by row: each test is a sentence of the page, on a real JupyterHub.

https://binderhub.readthedocs.io/en/latest/reference/launcher.html has 34 rows, tested in `test_traits.py`
and `test_methods.py`. Rows run for `hublaunch.Launcher` too, except for those on traits, tornado and unchanged events,
which are BinderHub's own. A docstring says where BinderHub's code contradicts its page, and which of them holds here.
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from hublaunch.demo.proxy import proxy_command, proxy_directory
from tests.hubs.placed import PlacedHub


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[PlacedHub]:
    """The demo's Hub, with servers that start immediately."""
    state = tmp_path_factory.mktemp("hub")
    proxy = await asyncio.to_thread(proxy_command, proxy_directory(state))
    async with PlacedHub(state=state, proxy_command=proxy) as hub:
        yield hub


@pytest.fixture
def address(hub: PlacedHub) -> dict[str, Any]:
    return {"hub_url": hub.url, "hub_url_local": hub.local_url, "hub_api_token": hub.token}


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def no_user_is_left(hub: PlacedHub) -> AsyncGenerator[None]:
    yield
    await hub.delete_users()


@pytest.fixture
def name() -> str:
    """The name of a user whom the Hub does not know yet."""
    return f"user-{uuid4().hex[:8]}"
