"""How many requests are answered at once, and how many of them are event streams of one address."""

import logging
from collections import Counter
from collections.abc import Collection

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from hublaunch.api.callers.address import place_of
from hublaunch.api.errors import http_problem
from hublaunch.api.warnings import Warnings

log = logging.getLogger(__name__)

_AGAIN_AFTER_S = {503: 5, 429: 30}


class RequestsAtOnce:
    """Answers 503 to more requests at once than `most`, and 429 to more streams of one address than `most_streams`.

    Health checks are always answered. Plain ASGI: a stream is counted once, and not its events.
    """

    def __init__(self, app: ASGIApp, *, most: int, most_streams: int, open_paths: Collection[str]) -> None:
        self._app = app
        self._most = most
        self._most_streams = most_streams
        self._open_paths = open_paths
        self._under_way = 0
        self._streams: Counter[str] = Counter()
        self._warnings = Warnings(log)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in self._open_paths:
            await self._app(scope, receive, send)
            return
        answer = self._answer_stream if _is_stream(scope) else self._app
        if self._under_way >= self._most:
            self._warnings.warn("%d requests are being answered, the most at once: others get 503", self._most)
            answer = _refusal(503)
        self._under_way += 1
        try:
            await answer(scope, receive, send)
        finally:
            self._under_way -= 1

    async def _answer_stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        address = place_of(scope["state"]["web"].address(Request(scope)))
        if self._streams[address] >= self._most_streams:
            self._warnings.warn(
                "%s reads %d event streams, the most of one address (LAUNCHER_MAX_STREAMS_ADDRESS): others get 429. If "
                "it is your proxy, name it in LAUNCHER_TRUSTED_PROXIES",
                address,
                self._most_streams,
            )
            await _refusal(429)(scope, receive, send)
            return
        self._streams[address] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._streams[address] -= 1
            if not self._streams[address]:
                del self._streams[address]


def _is_stream(scope: Scope) -> bool:
    """Whether the answer may be a stream. Every request comes by here, so this makes no further calls."""
    for name, value in scope["headers"]:
        if name == b"accept" and b"text/event-stream" in value.lower():
            return True
    return bool(scope["path"].endswith("/events"))


def _refusal(status: int) -> ASGIApp:
    return http_problem(status, {"Retry-After": str(_AGAIN_AFTER_S[status])})
