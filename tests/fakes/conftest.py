"""A client of the fake Hub."""

from collections.abc import AsyncGenerator

import httpx
import pytest

from tests.fakes.hub import FakeHub


@pytest.fixture
async def api(hub: FakeHub) -> AsyncGenerator[httpx.AsyncClient]:
    headers = {"Authorization": f"token {hub.api_token}"}
    async with httpx.AsyncClient(
        base_url=f"{hub.api_url}/", headers=headers, trust_env=False, verify=False, timeout=5
    ) as client:
        yield client
