"""The programs of a Kubernetes API, both helms, and the chart in a form that this API accepts."""

import shutil
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.chart.conftest import helm, helms
from tests.chart.helm import CHART
from tests.cluster.api import Kubernetes, running_kubernetes
from tests.cluster.programs import Programs, find_programs
from tests.support.debian import explained

__all__ = ["chart", "helm", "helms", "kubernetes", "programs"]

OF_THE_CHART = 'kubeVersion: ">=1.25.0-0"'


@pytest.fixture(scope="session")
def programs() -> Programs:
    with explained():
        return find_programs()


@pytest.fixture(scope="session")
def kubernetes(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Generator[Kubernetes]:
    with running_kubernetes(programs, tmp_path_factory.mktemp("kubernetes")) as kubernetes:
        yield kubernetes


@pytest.fixture(scope="session")
def chart(kubernetes: Kubernetes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the chart. If this API is older than the chart allows, the copy allows it."""
    copied = Path(shutil.copytree(CHART, tmp_path_factory.mktemp("chart") / "hublaunch"))
    described = copied / "Chart.yaml"
    text = described.read_text()
    assert OF_THE_CHART in text
    version = kubernetes.ask("GET", "/version").raise_for_status().json()
    if int(version["minor"].rstrip("+") or 0) < 25:
        described.write_text(text.replace(OF_THE_CHART, 'kubeVersion: ">=1.20.0-0"'))
    return copied
