"""docs/security.md promises only behavior that a test checks."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT

_TEST = re.compile(r"`(?P<file>tests/[\w/]+\.py|…)::(?P<name>test_\w+)`")
"""A name after `…` is in the last file that the text named."""


def _promises() -> Iterator[str]:
    section = (DOCS / "security.md").read_text().split("## Promises\n")[1].split("\n## ")[0]
    yield from re.split(r"^- ", section, flags=re.MULTILINE)[1:]


@cache
def _tests_of(file: Path) -> frozenset[str]:
    tree = ast.parse(file.read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("promise", [pytest.param(text, id=text.split("**")[1]) for text in _promises()])
def test_each_promise_names_tests_that_exist(promise: str) -> None:
    named: list[tuple[str, str]] = []
    for found in _TEST.finditer(promise):
        named.append((named[-1][0] if found["file"] == "…" else found["file"], found["name"]))

    assert named
    assert not [f"{file}::{name}" for file, name in named if name not in _tests_of(ROOT / file)]
