"""Refuses writes that a page of another origin sends, unless that origin is allowed.

https://www.w3.org/TR/fetch-metadata/ and https://fetch.spec.whatwg.org/#origin-header
"""

from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from hublaunch.api.problems.response import http_problem

_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_DEFAULT_PORTS = {"http": 80, "https": 443}
_NEEDS_PREFLIGHT = ("Authorization", "X-Requested-With")
"""Headers that a page can send to another origin only after a CORS preflight."""


def is_own_origin(headers: Headers) -> bool:
    """Return False if the headers show that the request comes from a page of another origin.

    Programs and the address bar get True. Scripts can set neither `Sec-Fetch-Site` nor `Origin`.
    """
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("Origin")
    return origin is None or _is_this_service(origin, headers)


def _is_this_service(url: str, headers: Headers) -> bool:
    """Return whether the URL has the scheme, host and port that the request was sent to.

    A proxy may end TLS without saying so, and may leave the port out of `Host`. Parts that it leaves out are ignored.
    """
    page, asked = _split(url), _split(f"//{headers.get('Host', '')}")
    if page is None or asked is None or page.scheme not in _DEFAULT_PORTS or "@" in page.netloc:
        return False
    if not page.hostname or page.hostname != asked.hostname or (page.scheme == "http" and came_over_tls(headers)):
        return False
    return asked.port is None or asked.port == (page.port or _DEFAULT_PORTS[page.scheme])


def _split(url: str) -> SplitResult | None:
    try:
        split = urlsplit(url)
        _ = split.port
    except ValueError:
        return None
    return split


def came_over_tls(headers: Headers) -> bool:
    """Return whether the outermost proxy received the request over TLS.

    No page can set `X-Forwarded-Proto` across origins.
    """
    return headers.get("X-Forwarded-Proto", "").partition(",")[0].strip().lower() == "https"


class OwnOrigin:
    """Answers 403 to a write from a page of another origin, unless that origin is in `allowed`.

    `Origin: null` is another origin too. A GET below `launching` is a write as well, because it launches as BinderHub's
    does. Such a GET must also prove that no page of another origin sent it.
    """

    def __init__(self, app: ASGIApp, *, allowed: Collection[str], launching: str) -> None:
        self._app = app
        self._allowed = frozenset(allowed)
        self._launching = launching

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._may_pass(scope):
            await http_problem(403)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _may_pass(self, scope: Scope) -> bool:
        launches_by_get = scope["path"].startswith(self._launching)
        if scope["method"] not in _WRITES and not launches_by_get:
            return True
        headers = Headers(scope=scope)
        if headers.get("Origin") in self._allowed:
            return True
        return is_own_origin(headers) and (not launches_by_get or self._proves_origin(scope, headers))

    def _proves_origin(self, scope: Scope, headers: Headers) -> bool:
        """Return whether a GET proves that no page of another origin sent it.

        A page can send a GET without `Origin` to any address. Browsers send `Sec-Fetch-Site` only to loopback and over
        TLS. Elsewhere the GET needs a header that names its origin, or a header that needs a preflight.
        """
        proofs = ("Sec-Fetch-Site", "Origin", *_NEEDS_PREFLIGHT)
        if scope["scheme"] == "https" or came_over_tls(headers) or any(name in headers for name in proofs):
            return True
        asked = _split(f"//{headers.get('Host', '')}")
        if asked is not None and _is_loopback(asked.hostname or ""):
            return True
        referer = headers.get("Referer", "")
        page = _split(referer)
        if page is None:
            return False
        return f"{page.scheme}://{page.netloc}".lower() in self._allowed or _is_this_service(referer, headers)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
