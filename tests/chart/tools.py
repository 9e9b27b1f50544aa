"""The programs of `.venv-chart`, which are too many and too large for `.venv`."""

import os
import subprocess
from pathlib import Path

from tests.chart.helm import ROOT

VENV = Path(os.environ.get("CHART_TEST_VENV", ROOT / ".venv-chart"))


class NoTools(Exception):
    """`str()` says what to do."""


def tool(name: str) -> Path:
    """One of its programs; NoTools."""
    path = VENV / "bin" / name
    if not path.exists():
        raise NoTools(f"{path} is not there: `make chart-test` puts it there.")
    return path


def run(name: str, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run one of them, with nothing of this environment but PATH; what came of it is the caller's to look at."""
    return subprocess.run(
        [tool(name), *arguments],
        input=given,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
