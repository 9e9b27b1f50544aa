"""What the tests of the image say where there is no Docker engine. These need none themselves."""

import os
from pathlib import Path

import pytest

from tests.image.engine import NoEngine, running_engine


def test_without_an_engine_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(NoEngine, match="apt-get install"), running_engine(tmp_path):
        pass
