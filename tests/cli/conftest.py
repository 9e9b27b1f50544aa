"""A user's shell beside the service."""

from pathlib import Path

import pytest

from tests.cli.commands import CommandLine
from tests.support.served import Service


@pytest.fixture
def shell(service: Service, tmp_path: Path) -> CommandLine:
    return CommandLine(str(service.http.base_url), tmp_path / "state")
