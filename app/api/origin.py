"""Where a request comes from: a page of this service's own, a frontend elsewhere that may call, or another page.

https://www.w3.org/TR/fetch-metadata/ and https://fetch.spec.whatwg.org/#origin-header
"""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.errors import http_problem

_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def is_own_origin(headers: Headers) -> bool:
    """Whether no page of another origin has sent this; true where it was no page, but a program or the address bar.

    Scripts can set neither header. Schemes are not compared, as a proxy before this service may end TLS.
    """
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("Origin")
    return origin is None or _authority(origin) == headers.get("Host", "").lower() != ""


def _authority(origin: str) -> str:
    """Host and port; nothing of what is no origin, such as `null`."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


class OwnOrigin:
    """Answers 403 to a write that a page elsewhere sends, unless that page's origin is among those that may call.

    What is asked by a page without its origin being known (`Origin: null`) is from elsewhere too. A GET below
    `launching` is a write as well: it launches, as BinderHub's do.
    """

    def __init__(self, app: ASGIApp, *, allowed: Collection[str], launching: str) -> None:
        self._app = app
        self._allowed = frozenset(allowed)
        self._launching = launching

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (scope["method"] in _WRITES or scope["path"].startswith(self._launching)):
            headers = Headers(scope=scope)
            if not is_own_origin(headers) and headers.get("Origin") not in self._allowed:
                await http_problem(403)(scope, receive, send)
                return
        await self._app(scope, receive, send)
