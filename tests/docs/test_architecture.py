"""docs/architecture.md is held to the code, and every path that a page names exists."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, PAGES, ROOT

PACKAGE = ROOT / "app" / "hublaunch"
_CODE = re.compile(r"`(?P<text>[^`\n]+)`")
_PATH = re.compile(r"(?:[\w.-]+/)+[\w-]+\.(?:css|html|js|json|mjs|py|sh|tsx|yaml|yml)")
_ROOTS = ("app", "benchmarks", "docs", "helm", "tests")


def named(page: Path) -> set[str]:
    """Return all code words of a page."""
    return {found["text"] for found in _CODE.finditer(page.read_text())}


def test_each_module_that_the_architecture_names_exists() -> None:
    modules = {word for word in named(DOCS / "architecture.md") if _PATH.fullmatch(word)}

    assert modules
    assert not {module for module in modules if not (PACKAGE / module).exists()}


def test_the_architecture_names_each_package_and_no_other() -> None:
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")} | {"web"}
    core = {f"launch/{path.parent.name}" for path in PACKAGE.glob("launch/*/__init__.py")}
    text = (DOCS / "architecture.md").read_text()
    table = text.split("## The parts")[1].split("## How a launch flows")[0]
    words = {found["text"] for found in _CODE.finditer(table)}

    assert packages | core <= words
    assert not {word for word in words if re.fullmatch(r"[a-z]+/[a-z]+", word) and not (PACKAGE / word).is_dir()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_path_that_a_page_names_exists(page: Path) -> None:
    paths = {
        word for word in named(page) if _PATH.fullmatch(word) and word.startswith(tuple(f"{root}/" for root in _ROOTS))
    }

    assert not {path for path in paths if not (ROOT / path).exists()}
