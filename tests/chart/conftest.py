"""Both helms, found once."""

from pathlib import Path

import pytest

from tests.chart.helm import MATRIX, Helm, find_helms
from tests.support.debian import explained


@pytest.fixture(scope="session")
def helms() -> dict[str, Helm]:
    with explained():
        return dict(find_helms())


@pytest.fixture(params=["3", "4"])
def helm(request: pytest.FixtureRequest, helms: dict[str, Helm]) -> Helm:
    return helms[request.param]


@pytest.fixture(params=MATRIX, ids=lambda path: path.stem)
def values(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path
