"""A service with several callers."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from hublaunch.files.keys import add_key
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub
from tests.support.reuse import Callers
from tests.support.served import Service, serve


@pytest.fixture
async def callers(hub: FakeHub, tmp_path: Path) -> Callers:
    """Return the headers of each caller."""
    credentials = {name: hub.token_of(name) for name in ("ada", "bob")}
    path = tmp_path / "keys.json"
    credentials["key"] = add_key(path, name="ci", max_active=3)[1]
    credentials["other key"] = add_key(path, name="other")[1]
    credentials["naming key"] = add_key(path, name="naming", may_name_user=True)[1]
    return {"nobody": {}} | {name: {"Authorization": f"Bearer {value}"} for name, value in credentials.items()}


@pytest.fixture
async def service(settings: Settings, callers: Callers, tmp_path: Path) -> AsyncGenerator[Service]:
    path = tmp_path / "keys.json"
    access = {"access": ("anonymous", "hub", "key"), "api_keys_file": path, "allow_named_servers": True}
    async with serve(settings.model_copy(update=access)) as service, asyncio.timeout(30):
        yield service
