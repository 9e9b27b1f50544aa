"""Reads request bodies whole, within limits of type, size and time."""

import asyncio
from collections import Counter

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hublaunch.api.callers.address import place_of
from hublaunch.api.problems.response import http_problem

BODY_MAX_BYTES = 65_536
UNFINISHED_MAX_BYTES = 32 * 1_048_576
"""The most bytes of unfinished bodies that are held in total."""
UNFINISHED_MAX_BYTES_ADDRESS = 4 * 1_048_576
"""The most bytes of unfinished bodies that are held for one address (for IPv6, one /64)."""
_WITH_BODY = ("POST", "PUT", "PATCH")


class JsonBodies:
    """Accepts bodies as `application/json` only, of at most 64 KiB, complete within 10 seconds.

    Pages of other origins can send forms and plain text without a preflight, so the 415 protects against them too.
    Unfinished bodies are limited in total and for each address; the body that exceeds a limit gets 503.
    """

    def __init__(self, app: ASGIApp, *, timeout_s: float) -> None:
        self._app = app
        self._timeout_s = timeout_s
        self._unfinished: Counter[str] = Counter()
        """Bytes by address; the total is at `""`."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in _WITH_BODY:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
            await http_problem(415)(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._timeout_s):
                body = await self._read(scope, receive)
        except TimeoutError:
            await http_problem(408)(scope, receive, send)
        except _TooLarge:
            await http_problem(413)(scope, receive, send)
        except _NoRoom:
            await http_problem(503, {"Retry-After": "5"})(scope, receive, send)
        else:
            await self._app(scope, _replay(body, receive), send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        """Return the whole body, or the part that arrived before the client left."""
        body, counted, address = bytearray(), 0, ""
        try:
            while _append(await receive(), body):
                address = address or place_of(scope["state"]["web"].address(Request(scope)))
                self._count(address, len(body) - counted)
                counted = len(body)
                of_address, total = self._unfinished[address], self._unfinished[""]
                if of_address > UNFINISHED_MAX_BYTES_ADDRESS or total > UNFINISHED_MAX_BYTES:
                    raise _NoRoom
            return bytes(body)
        finally:
            self._count(address, -counted)

    def _count(self, address: str, number: int) -> None:
        for key in (address, ""):
            self._unfinished[key] += number
            if not self._unfinished[key]:
                del self._unfinished[key]


class _TooLarge(Exception):
    """The body is larger than any valid one."""


class _NoRoom(Exception):
    """Too many bytes of unfinished bodies are held."""


def _append(message: Message, body: bytearray) -> bool:
    """Append the message's part of the body. Return whether more is to come."""
    body += message.get("body", b"")
    if len(body) > BODY_MAX_BYTES:
        raise _TooLarge
    return message["type"] == "http.request" and bool(message.get("more_body"))


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body in one message, then continues with the given `receive`."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay
