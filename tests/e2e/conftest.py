"""The Hub that the tests of a file share."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from tests.hubs.managed import ManagedHub, managed_hub


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def managed(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[ManagedHub]:
    """Run a Hub that starts hublaunch itself."""
    async with managed_hub(tmp_path_factory.mktemp("hub")) as hub:
        yield hub
