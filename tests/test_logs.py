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


_FORGING = """
import logging
from app.logs import configure_logging
configure_logging("INFO")
words = "x\\r\\n2026-11-25 03:00:00,000 INFO    app.main: forged \\u202e\\u2028\\x85\\x1b[2K"
logging.getLogger("app.main").info("The Hub said %s", words)
try:
    raise ValueError(words)
except ValueError:
    logging.getLogger("app.main").exception("It broke")
logging.getLogger("app.main").info("z" * 100_000)
logging.getLogger("uvicorn.error").error("Exception in ASGI application\\n")
"""


def test_words_of_others_make_no_line_and_hide_none() -> None:
    said = subprocess.run(
        [sys.executable, "-c", _FORGING],
        env={"PYTHONPATH": str(Path(__file__).parent.parent)},
        capture_output=True,
        check=True,
    ).stderr.decode()

    lines = said.removesuffix("\n").split("\n")
    heads = [line.partition(": ")[2] for line in lines if not line.startswith("    ")]
    assert [head[:16] for head in heads] == ["The Hub said x\\r", "It broke", "z" * 16, "Exception in ASG"]
    assert heads[0].endswith("\\n2026-11-25 03:00:00,000 INFO    app.main: forged \\u202e\\u2028\\x85\\x1b[2K")
    assert len(heads[2]) < 2000
    assert "    ValueError: x" in lines
    assert all(line.isprintable() for line in lines)
