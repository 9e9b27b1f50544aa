"""The Markdown of the project, as its readers see it and the tests parse it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    [*DOCS.rglob("*.md"), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "helm/README.md"))]
)
TESTED = "<!-- tested -->"
"""Before a block that `test_examples.py` runs; readers do not see it."""

_BLOCK = re.compile(r"^(?P<mark><!-- [^\n]* -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"""(?:\]\(|(?:src|href)=")(?P<path>[^)"#\s]*)(?:#(?P<anchor>[^)"\s]+))?[)"]""")
_HEADING = re.compile(r"^#+ (?P<text>.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    """The line of the page at which the block begins."""
    language: str
    text: str
    mark: str
    """The comment in the line before it, if there is one."""

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(
            page=page,
            line=text.count("\n", 0, found.start("text")),
            language=found["language"],
            text=found["text"],
            mark=(found["mark"] or "").strip(),
        )
        for found in _BLOCK.finditer(text)
    ]


def links(page: Path) -> Iterator[tuple[str, str]]:
    """Yield the path and the anchor (`""` if absent) of each link within the repository, except links in code."""
    prose = _INLINE_CODE.sub("", _BLOCK.sub("", page.read_text()))
    for found in _LINK.finditer(prose):
        if "://" not in found["path"] and not found["path"].startswith(("mailto:", "data:")):
            yield found["path"], found["anchor"] or ""


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and the site make them."""
    headings = (found["text"] for found in _HEADING.finditer(_BLOCK.sub("", page.read_text())))
    return {_anchor(re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)) for heading in headings}


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
