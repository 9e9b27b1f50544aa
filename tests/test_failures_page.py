"""`docs/failures.md` lists every code with what happened and what to do, in the words that callers get."""

from collections.abc import Iterator
from pathlib import Path

from hublaunch.api import errors as http
from hublaunch.launch.errors import SpawnError

PAGE = Path(__file__).parents[1] / "docs" / "failures.md"


def rows() -> Iterator[str]:
    for kind, status in http.STATUS.items():
        shown = "" if issubclass(kind, SpawnError) else f"{status} | "
        yield f"| `{kind.code}` | {shown}{kind.title} | {kind.advice} |{_cell(kind.operator_advice)}"
    for status, problem in http._HTTP_PROBLEMS.items():
        row = f"| `{problem.code}` | {status} | {problem.title} | {problem.advice} |"
        yield row + _cell(problem.operator_advice)


def _cell(text: str) -> str:
    return f" {text} |" if text else " |"


def test_the_page_of_failures_has_every_code_once_and_no_other() -> None:
    listed = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]

    assert sorted(listed) == sorted(set(rows()))
