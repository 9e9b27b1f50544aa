"""A Docker engine, and the image built once for all tests."""

import os
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.image.base import ROOT, python_version
from tests.image.engine import Engine, running_engine
from tests.support.debian import explained

STATE = Path(os.environ.get("IMAGE_TEST_STATE", ROOT / ".image-test"))
"""Keeps layers and the stand-in for the base image between runs."""
TAG = "hublaunch:image-test"


@dataclass(frozen=True)
class Image:
    """The image built from this tree."""

    engine: Engine
    tag: str
    python_version: str
    base: str

    def build(self, *options: str) -> None:
        arguments = ["--build-arg", f"PYTHON_VERSION={self.python_version}", *options, str(ROOT)]
        self.engine("build", "--tag", self.tag, *arguments)


@pytest.fixture(scope="session")
def engine() -> Generator[Engine]:
    with explained(), running_engine(STATE / "engine") as engine:
        yield engine


@pytest.fixture(scope="session")
def image(engine: Engine) -> Image:
    version = python_version(engine, STATE / "base")
    image = Image(engine, TAG, version, f"python:{version}-slim")
    image.build()
    return image
