"""What every answer carries to keep browsers from misusing it, and what no request may be larger than."""

from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hublaunch.api.errors import http_problem

HEADERS_MAX_BYTES = 16_384
TARGET_MAX_BYTES = 4_096
"""A path and its query."""
_NOBODY = "'none'"


class SecurityHeaders:
    """Sets the headers by which browsers protect a visitor; plain ASGI, once per answer and never per chunk.

    Nothing may be loaded or run by an answer, unless it brings a Content-Security-Policy of its own, as a page does;
    who may frame it is the same for all. HSTS is the business of whoever ends TLS.
    """

    def __init__(self, app: ASGIApp, *, frame_ancestors: Sequence[str]) -> None:
        self._app = app
        self._frame_ancestors = f"frame-ancestors {' '.join(map(_source, frame_ancestors)) or _NOBODY}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_hardened(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                policy = headers.get("Content-Security-Policy", "default-src 'none'")
                headers["Content-Security-Policy"] = f"{policy}; {self._frame_ancestors}"
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
            await send(message)

        await self._app(scope, receive, send_hardened)


def _source(ancestor: str) -> str:
    return "'self'" if ancestor == "self" else ancestor


class Bounds:
    """Answers 414 and 431 to what is larger than any rightful request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif len(scope["raw_path"]) + len(scope["query_string"]) > TARGET_MAX_BYTES:
            await http_problem(414)(scope, receive, send)
        elif sum(len(name) + len(value) for name, value in scope["headers"]) > HEADERS_MAX_BYTES:
            await http_problem(431)(scope, receive, send)
        else:
            await self._app(scope, receive, send)
