"""The programs of `.venv-chart`, which are too many and too large for `.venv`."""

import os
import subprocess
from pathlib import Path

from tests.chart.helm import ROOT
from tests.support.debian import Missing

VENV = Path(os.environ.get("CHART_TEST_VENV", ROOT / ".venv-chart"))


def tool(name: str) -> Path:
    """Return the path of one of the programs. Raises Missing."""
    path = VENV / "bin" / name
    if not path.exists():
        raise Missing(f"{path} is not there: `make chart-test` puts it there.")
    return path


def run(name: str, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run one of the programs, with only PATH of this environment, and return the outcome without checking it."""
    return subprocess.run(
        [tool(name), *arguments],
        input=given,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
