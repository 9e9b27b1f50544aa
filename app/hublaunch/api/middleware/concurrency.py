"""Limits the requests in progress, and the event streams of one address."""

import logging
from collections import Counter
from collections.abc import Collection

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from hublaunch.api.callers.address import place_of
from hublaunch.api.problems.response import http_problem
from hublaunch.api.warnings import Warnings

log = logging.getLogger(__name__)

_RETRY_AFTER_S = {503: 5, 429: 30}


class ConcurrencyLimits:
    """Answers 503 beyond `most` requests at once, and 429 beyond `most_streams` event streams of one address.

    Health checks are always answered.
    """

    def __init__(self, app: ASGIApp, *, most: int, most_streams: int, open_paths: Collection[str]) -> None:
        self._app = app
        self._most = most
        self._most_streams = most_streams
        self._open_paths = open_paths
        self._in_progress = 0
        self._streams: Counter[str] = Counter()
        self._warnings = Warnings(log)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in self._open_paths:
            await self._app(scope, receive, send)
            return
        answer = self._answer_stream if _is_stream(scope) else self._app
        if self._in_progress >= self._most:
            self._warnings.warn("Limit of %d concurrent requests reached: further requests get 503", self._most)
            answer = _refusal(503)
        self._in_progress += 1
        try:
            await answer(scope, receive, send)
        finally:
            self._in_progress -= 1

    async def _answer_stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        address = place_of(scope["state"]["web"].address(Request(scope)))
        if self._streams[address] >= self._most_streams:
            self._warnings.warn(
                "%s has %d open event streams, the limit for one address (LAUNCHER_MAX_STREAMS_ADDRESS): further "
                "streams get 429. If this is your proxy, add it to LAUNCHER_TRUSTED_PROXIES",
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
    """Return whether the answer may be a stream. It runs for every request, so it calls nothing else."""
    for name, value in scope["headers"]:
        if name == b"accept" and b"text/event-stream" in value.lower():
            return True
    return bool(scope["path"].endswith("/events"))


def _refusal(status: int) -> ASGIApp:
    return http_problem(status, {"Retry-After": str(_RETRY_AFTER_S[status])})
