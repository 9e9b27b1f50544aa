"""Refuses requests whose address or headers are too large."""

from starlette.types import ASGIApp, Receive, Scope, Send

from hublaunch.api.problems.response import http_problem

HEADERS_MAX_BYTES = 16_384
TARGET_MAX_BYTES = 4_096
"""The most bytes of a path and its query together."""


class SizeLimits:
    """Answers 414 to an address, and 431 to headers, that are larger than any valid request needs."""

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
