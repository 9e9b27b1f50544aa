"""Services with several kinds of callers, and with logins."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub
from tests.support.callers import ROOT, CallerWorld, Credentials, add_callers, headers_of, launch_of_ada, session_of_ada
from tests.support.catalogue import catalogue_in
from tests.support.login import PREFIX
from tests.support.served import IMAGE, Service, serve


@pytest.fixture
def settings_of_all(settings: Settings, hub: FakeHub, tmp_path: Path) -> Settings:
    """Return settings that accept all kinds of callers."""
    changed = {
        "access": ("anonymous", "hub", "invitation", "key"),
        "catalogue_file": catalogue_in(tmp_path),
        "admins": (ROOT,),
        "api_keys_file": tmp_path / "keys.json",
        "oauth_client_id": f"service-{hub.service}",
        "binder_images": {"gh/org/*/*": IMAGE},
    }
    return settings.model_copy(update=changed)


@pytest.fixture
async def credentials(settings: Settings, hub: FakeHub, tmp_path: Path) -> Credentials:
    return add_callers(hub, tmp_path / "keys.json", settings.database_url)


@pytest.fixture
async def world(settings_of_all: Settings, hub: FakeHub, credentials: Credentials) -> AsyncGenerator[CallerWorld]:
    async with serve(settings_of_all) as service:
        launch = await launch_of_ada(service, credentials)
        session = await session_of_ada(service, hub)
        service.http.cookies.clear()
        yield CallerWorld(service, headers_of(credentials, session, launch["secret"]), launch["id"])


@pytest.fixture
async def settings_of_users(settings: Settings, hub: FakeHub) -> Settings:
    hub.create_user("ada")
    return settings.model_copy(update={"access": ("hub",), "service_name": hub.service, "prefix": PREFIX})


@pytest.fixture
async def users_service(settings_of_users: Settings) -> AsyncGenerator[Service]:
    async with serve(settings_of_users) as service:
        yield service
