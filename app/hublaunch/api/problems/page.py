"""Problems as HTML pages for browsers, without scripts, in the style of the other pages."""

from starlette.datastructures import Headers
from starlette.types import Scope

from hublaunch.api.accept import names_type
from hublaunch.api.site import Site
from hublaunch.launch.problem import Problem


def wants_page(scope: Scope) -> bool:
    """Return whether a browser will show the answer to a person: it is a read that asks for HTML."""
    return scope["method"] in ("GET", "HEAD") and names_type(Headers(scope=scope).get("Accept", ""), "text/html")


def problem_page(problem: Problem, status: int, *, site: Site, prefix: str) -> str:
    """Return the problem as HTML. Its links start with the service's `prefix`, as the page can appear on any path."""
    words = {"title": problem.title, "detail": problem.detail, "advice": problem.advice, "code": problem.code}
    return site.page("problem.html", root=prefix, status=str(status), **words)


def policy_of(site: Site) -> str:
    """Return the Content-Security-Policy of these pages."""
    return f"default-src 'none'; style-src 'self'; img-src {site.image_sources}; base-uri 'none'; form-action 'none'"
