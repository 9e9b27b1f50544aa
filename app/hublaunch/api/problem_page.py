"""Problems as pages, for browsers: without a script, in the style of the other pages."""

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

_FILE = Path(__file__).parent.parent / "web" / "page" / "problem.html"


def wants_page(scope: Scope) -> bool:
    """Return whether a browser shows the answer to this request to a person, as it asks for HTML to read."""
    return scope["method"] in ("GET", "HEAD") and names_type(Headers(scope=scope).get("Accept", ""), "text/html")


def problem_page(problem: Problem, status: int, *, prefix: str) -> str:
    """Return the problem as HTML. Its links begin with the `prefix` of the service, as any path may have led here."""
    words = {"title": problem.title, "detail": problem.detail, "advice": problem.advice, "code": problem.code}
    return _template().substitute(
        {name: escape(text) for name, text in words.items()}, status=status, root=escape(prefix)
    )


@cache
def _template() -> Template:
    return Template(_FILE.read_text(encoding="utf-8"))
