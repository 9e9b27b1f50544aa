"""The contract runs on the fake Hub, in each version that it can imitate, and on a real one.

The real one is this environment's JupyterHub, or that of the Python named by `HUBLAUNCH_TEST_HUB_PYTHON`.
"""

from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.contract.contract_hub import (
    FAKE_VERSIONS,
    REAL_PYTHON,
    SETTINGS,
    Configure,
    ContractHub,
    Release,
    Version,
    numbers,
)
from tests.fakes.hub import FakeHub
from tests.hubs.process import RealHub

BASE_URL = "/jh/"


@pytest.fixture(scope="session")
def real_hub() -> Iterator[RealHub]:
    with RealHub(python=REAL_PYTHON, base_url=BASE_URL) as hub:
        yield hub


@pytest.fixture(params=[*FAKE_VERSIONS, pytest.param("real", marks=pytest.mark.real_hub)])
async def hub(request: pytest.FixtureRequest) -> AsyncGenerator[ContractHub]:
    if request.param == "real":
        real: RealHub = request.getfixturevalue("real_hub")
        async with _client(real.url, real.api_token) as api:
            yield await _real(real, api)
            await _configure_real(real, api, SETTINGS)
        return
    async with FakeHub(version=request.param, base_url=BASE_URL) as fake:
        fake.interrupt_s = 0.5
        async with _client(fake.url, fake.api_token) as api:
            yield _fake(fake, api)


@pytest.fixture
async def stranger(hub: ContractHub) -> AsyncGenerator[httpx.AsyncClient]:
    """A client without a token."""
    async with _client(hub.url, "") as client:
        yield client


@pytest.fixture
async def username(hub: ContractHub) -> AsyncGenerator[str]:
    """A free user name. A user created with it is deleted after the test."""
    name = f"contract-{uuid4().hex[:8]}"
    yield name
    await hub.configure(SETTINGS)
    await hub.clean_up(name)


@pytest.fixture
async def user(hub: ContractHub, username: str) -> str:
    """A user without a server."""
    await hub.create(username)
    return username


def _client(url: str, token: str) -> httpx.AsyncClient:
    """Return a client without TLS, because loading certificates takes longer than most tests."""
    headers = {"Authorization": f"token {token}"} if token else {}
    return httpx.AsyncClient(base_url=f"{url}hub/api/", headers=headers, trust_env=False, verify=False, timeout=15)


async def _real(real: RealHub, api: httpx.AsyncClient) -> ContractHub:
    async def configure(settings: Mapping[str, Any]) -> None:
        await _configure_real(real, api, settings)

    async def release(username: str) -> None:
        (await api.post(f"{real.url}hub/test-release/{username}")).raise_for_status()

    version = numbers((await api.get("")).json()["version"])
    return _contract_hub(real, api, version, configure, release)


async def _configure_real(real: RealHub, api: httpx.AsyncClient, settings: Mapping[str, Any]) -> None:
    (await api.put(f"{real.url}hub/test-settings", json=dict(settings))).raise_for_status()


def _fake(fake: FakeHub, api: httpx.AsyncClient) -> ContractHub:
    async def configure(settings: Mapping[str, Any]) -> None:
        for name, value in settings.items():
            assert hasattr(fake, name)
            setattr(fake, name, value)

    async def release(username: str) -> None:
        if fake.users[username].servers[""].pending:
            fake.release(username)

    return _contract_hub(fake, api, fake.version_info, configure, release)


def _contract_hub(
    hub: RealHub | FakeHub, api: httpx.AsyncClient, version: Version, configure: Configure, release: Release
) -> ContractHub:
    return ContractHub(
        api=api,
        url=hub.url,
        base_url=BASE_URL,
        token=hub.api_token,
        version=version,
        configure=configure,
        release=release,
    )
