"""Problems as HTML pages for browsers, without scripts, in the style of the other pages."""

from functools import cache
from html import escape
from pathlib import Path
from string import Template

from starlette.datastructures import Headers
from starlette.types import Scope

from hublaunch.api.accept import names_type
from hublaunch.launch.model import Problem

POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'"
"""The Content-Security-Policy of these pages."""

_FILE = Path(__file__).parents[2] / "web" / "page" / "problem.html"


def wants_page(scope: Scope) -> bool:
    """Return whether a browser will show the answer to a person: it is a read that asks for HTML."""
    return scope["method"] in ("GET", "HEAD") and names_type(Headers(scope=scope).get("Accept", ""), "text/html")


def problem_page(problem: Problem, status: int, *, prefix: str) -> str:
    """Return the problem as HTML. Its links start with the service's `prefix`, as the page can appear on any path."""
    words = {"title": problem.title, "detail": problem.detail, "advice": problem.advice, "code": problem.code}
    return _template().substitute(
        {name: escape(text) for name, text in words.items()}, status=status, root=escape(prefix)
    )


@cache
def _template() -> Template:
    return Template(_FILE.read_text(encoding="utf-8"))
