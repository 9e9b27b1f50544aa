"""What is logged at which level."""

import subprocess
import sys
from pathlib import Path

import pytest

_SCRIPT = """
import logging, sys
from app.logs import configure_logging
configure_logging(sys.argv[1])
for name in ("app.main", "uvicorn.access", "sqlalchemy.engine"):
    for level in ("DEBUG", "INFO", "WARNING", "ERROR"):
        logging.getLogger(name).log(getattr(logging, level), "line")
"""


@pytest.mark.parametrize(
    ("level", "app", "access", "sql"), [("DEBUG", 4, 3, 2), ("INFO", 3, 3, 2), ("WARNING", 2, 2, 2), ("ERROR", 1, 1, 1)]
)
def test_lines_below_the_level_are_not_logged_and_those_of_libraries_stay_quiet(
    level: str, app: int, access: int, sql: int
) -> None:
    said = subprocess.run(
        [sys.executable, "-c", _SCRIPT, level],
        env={"PYTHONPATH": str(Path(__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=True,
    ).stderr

    assert [said.count(f"{name}: line") for name in ("app.main", "uvicorn.access", "sqlalchemy.engine")] == [
        app,
        access,
        sql,
    ]
