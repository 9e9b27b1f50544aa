"""An attempt, for the tests of a launch's course."""

import pytest

from hublaunch.hub.client import HubClient
from tests.fakes.hub import FakeHub
from tests.support.attempted import Attempted


@pytest.fixture
def attempted(hub: FakeHub, client: HubClient) -> Attempted:
    return Attempted(hub, client)
