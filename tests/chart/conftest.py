"""Both helms, found once."""

from pathlib import Path

import pytest

from tests.chart.helm import MATRIX, Helm, NoHelm, find_helms


@pytest.fixture(scope="session")
def helms() -> dict[str, Helm]:
    try:
        return dict(find_helms())
    except NoHelm as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(params=["3", "4"])
def helm(request: pytest.FixtureRequest, helms: dict[str, Helm]) -> Helm:
    return helms[request.param]


@pytest.fixture(params=MATRIX, ids=lambda path: path.stem)
def values(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path
