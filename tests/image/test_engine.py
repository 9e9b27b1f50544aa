"""The message of the image tests if there is no Docker engine. This test needs no engine."""

import os
from pathlib import Path

import pytest

from tests.image.engine import NoEngine, running_engine


def test_a_missing_engine_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(NoEngine, match="apt-get install"), running_engine(tmp_path):
        pass
