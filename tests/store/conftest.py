from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hublaunch.sealing import Sealer
from hublaunch.store.sql import SqlLaunchStore
from tests.support.sqlite import migrated


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hublaunch.sqlite"


@pytest.fixture
def sqlite_url(path: Path) -> str:
    return migrated(path)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """A new database of each kind: each test runs on both."""
    if request.param == "sqlite":
        sqlite: str = request.getfixturevalue("sqlite_url")
        return sqlite
    postgresql: str = request.getfixturevalue("postgres").database()
    return postgresql


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, path: Path) -> str:
    """A new database of each kind without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{path.with_name('empty.sqlite')}"
    postgresql: str = request.getfixturevalue("postgres").database(migrated=False)
    return postgresql


@pytest.fixture
def sealer() -> Sealer:
    return Sealer(["0123456789abcdef0123456789abcdef"], purpose="stored tokens")


@pytest.fixture
async def store(url: str, sealer: Sealer) -> AsyncIterator[SqlLaunchStore]:
    async with SqlLaunchStore(url, sealer=sealer) as store:
        yield store


@pytest.fixture
async def other(url: str, sealer: Sealer) -> AsyncIterator[SqlLaunchStore]:
    """Another process's store on the same PostgreSQL."""
    async with SqlLaunchStore(url, sealer=sealer, lease_s=600) as other:
        yield other
