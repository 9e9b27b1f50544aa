"""Settings with mappings for `/build`, and a service that a Hub user calls."""

from collections.abc import AsyncGenerator

import pytest

from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub
from tests.support.binder import for_ada
from tests.support.served import Service


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Return settings that map repositories on GitHub, GitLab and Zenodo."""
    mapped = {
        "gh/org/fixed/*": "quay.io/binder/fixed:1",
        "gh/*/*/*": "quay.io/binder/{1}-{2}:{3}",
        "gl/group%2F*/*": "quay.io/binder/{1}:{2}",
        "zenodo/*": "quay.io/binder/fixed:1",
    }
    return settings.model_copy(update={"binder_images": mapped})


@pytest.fixture
async def of_ada(settings: Settings, hub: FakeHub) -> AsyncGenerator[Service]:
    async with for_ada(settings, hub) as service:
        yield service
