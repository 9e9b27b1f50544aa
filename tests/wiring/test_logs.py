"""The lines of the log, by level."""

import json
import logging
import os
import pty
import subprocess
import sys
from contextvars import copy_context
from pathlib import Path

import pytest

from hublaunch.api.middleware.access_log import request_id
from hublaunch.launch.log_context import current_attempt
from hublaunch.launch.model import Attempt
from hublaunch.wiring.logs import SafeLines

_SCRIPT = """
import logging, sys
from hublaunch.wiring.logs import configure_logging
configure_logging(sys.argv[1])
for name in ("hublaunch.main", "hublaunch.access", "uvicorn.access", "sqlalchemy.engine"):
    for level in ("DEBUG", "INFO", "WARNING", "ERROR"):
        logging.getLogger(name).log(getattr(logging, level), "line")
"""


@pytest.mark.parametrize(
    ("level", "own", "libraries"), [("DEBUG", 4, 2), ("INFO", 3, 2), ("WARNING", 2, 2), ("ERROR", 1, 1)]
)
def test_records_below_the_level_and_those_of_libraries_are_not_logged(level: str, own: int, libraries: int) -> None:
    said = subprocess.run(
        [sys.executable, "-c", _SCRIPT, level],
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    ).stderr

    for name in ("hublaunch.main", "hublaunch.access"):
        assert said.count(f"{name}: line") == own
    for name in ("uvicorn.access", "sqlalchemy.engine"):
        assert said.count(f"{name}: line") == libraries


_FORGING = """
import logging, sys
from hublaunch.wiring.logs import configure_logging
configure_logging("INFO", sys.argv[1])
words = "x\\r\\n2026-11-25 03:00:00,000 INFO    hublaunch.main: forged \\u202e\\u2028\\x85\\x1b[2K"
logging.getLogger("hublaunch.main").info("The Hub said %s", words)
try:
    raise ValueError(words)
except ValueError:
    logging.getLogger("hublaunch.main").exception("It broke")
logging.getLogger("hublaunch.main").info("z" * 100_000)
logging.getLogger("uvicorn.error").error("Exception in ASGI application\\n")
"""


def forged(log_format: str) -> list[str]:
    """Return the lines of a log that others try to forge."""
    said = subprocess.run(
        [sys.executable, "-c", _FORGING, log_format],
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        check=True,
    ).stderr.decode()
    return said.removesuffix("\n").split("\n")


def test_outside_text_cannot_forge_or_hide_a_line() -> None:
    lines = forged("text")

    heads = [line.partition(": ")[2] for line in lines if not line.startswith("    ")]
    assert [head[:16] for head in heads] == ["The Hub said x\\r", "It broke", "z" * 16, "Exception in ASG"]
    assert heads[0].endswith("\\n2026-11-25 03:00:00,000 INFO    hublaunch.main: forged \\u202e\\u2028\\x85\\x1b[2K")
    assert len(heads[2]) < 2000
    assert "    ValueError: x" in lines
    assert all(line.isprintable() for line in lines)


def test_a_json_object_is_one_line_of_ascii_with_any_outside_text() -> None:
    lines = forged("json")

    said = [json.loads(line) for line in lines]
    assert all(line.isascii() and line.isprintable() for line in lines)
    assert [line["event"][:16] for line in said] == ["The Hub said x\r\n", "It broke", "z" * 16, "Exception in ASG"]
    assert [line["logger"] for line in said] == ["hublaunch.main"] * 3 + ["uvicorn.error"]
    assert said[0]["level"] == "INFO"
    assert said[0]["at"].endswith("Z")
    assert "ValueError: x" in said[1]["exception"]
    assert len(said[2]["event"]) == 2000


@pytest.mark.parametrize(("on_terminal", "begins"), [(True, "20"), (False, "{")])
def test_the_default_format_is_text_on_a_terminal_and_json_elsewhere(on_terminal: bool, begins: str) -> None:
    script = (
        "import logging; from hublaunch.wiring.logs import configure_logging as c; c('INFO', 'auto');"
        "logging.info('line')"
    )
    own, childs = pty.openpty() if on_terminal else os.pipe()
    with os.fdopen(own, "rb", buffering=0) as said:
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONPATH": str(Path(__file__).parents[2])},
            stderr=childs,
            check=True,
        )
        line = said.read(1000).decode()
        os.close(childs)

    assert line.startswith(begins)
    assert "line" in line


def test_a_text_line_ends_with_the_ids_that_it_does_not_contain() -> None:
    record = logging.LogRecord("hublaunch.x", logging.INFO, "", 0, "launch 01M8 is ready", (), None)

    def line_of_a_request() -> str:
        current_attempt.set(Attempt(launch_id="01M8", number=2, username="ada"))
        request_id.set("from-a-proxy")
        return SafeLines("%(message)s").format(record)

    line = copy_context().run(line_of_a_request)  # the tests after this one have no launch at hand

    assert line == "launch 01M8 is ready [attempt=2 request_id=from-a-proxy]"
