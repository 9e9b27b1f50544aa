"""What every request must be before a route sees it. Plain ASGI, so that a stream passes through untouched."""

import asyncio
import logging
from collections import Counter
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hublaunch.api.callers.address import place_of
from hublaunch.api.errors import http_problem

BODY_MAX_BYTES = 65_536
BODY_TIMEOUT_S = 10.0
ARRIVING_MAX_BYTES = 32 * 1_048_576
"""Of the bodies that have arrived in part."""
ARRIVING_MAX_BYTES_ADDRESS = 4 * 1_048_576
"""Of those from one address, of IPv6 one /64."""
LOGGED_WORD_MAX = 200
_WITH_BODY = ("POST", "PUT", "PATCH")


class KnownHosts:
    """Answers 421 to a `Host` that is not this service's, so that no page can reach it by a name of its own.

    (A web page may resolve its own name to the loopback address and post there.) Health checks come by any address.
    """

    def __init__(self, app: ASGIApp, *, hosts: Collection[str], open_paths: Collection[str]) -> None:
        self._app = app
        self._hosts = hosts
        self._open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in self._open_paths or _host(scope) in self._hosts:
            await self._app(scope, receive, send)
        else:
            await http_problem(421)(scope, receive, send)


class HeadRequests:
    """Answers HEAD as GET, without the body, so without the events of a stream (RFC 9110 §9.3.2).

    Below `acting` a GET does something, so HEAD is not answered there.
    """

    def __init__(self, app: ASGIApp, *, acting: tuple[str, ...]) -> None:
        self._app = app
        self._acting = acting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD" or scope["path"].startswith(self._acting):
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b""})  # after which `receive` tells of a disconnect

        as_get = {**scope, "method": "GET", "send_body": send_head}
        await self._app(as_get, receive, send_head)
        if "route" in as_get:
            scope["route"] = as_get["route"]


class JsonBodies:
    """Takes bodies as `application/json` only, and whole: of at most 64 KiB and within 10 seconds.

    A form or a plain-text body is what a page elsewhere can send without asking; so 415 also protects from that.
    Bodies that have arrived in part are bounded for each address and in all: the one that goes beyond gets 503.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._arriving: Counter[str] = Counter()
        """Bytes by address; those of all addresses by `""`."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in _WITH_BODY:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
            await http_problem(415)(scope, receive, send)
            return
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
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
        """Return the whole body. A client that leaves has sent what it has sent."""
        body, counted, address = bytearray(), 0, ""
        try:
            while _take(await receive(), body):
                address = address or place_of(scope["state"]["web"].address(Request(scope)))
                self._count(address, len(body) - counted)
                counted = len(body)
                if self._arriving[address] > ARRIVING_MAX_BYTES_ADDRESS or self._arriving[""] > ARRIVING_MAX_BYTES:
                    raise _NoRoom
            return bytes(body)
        finally:
            self._count(address, -counted)

    def _count(self, address: str, number: int) -> None:
        for key in (address, ""):
            self._arriving[key] += number
            if not self._arriving[key]:
                del self._arriving[key]


class _TooLarge(Exception):
    """The body is larger than any rightful one."""


class _NoRoom(Exception):
    """Too many bytes of unfinished bodies are held."""


def _take(message: Message, body: bytearray) -> bool:
    """Add what a message has of the body. Return whether there is more to come."""
    body += message.get("body", b"")
    if len(body) > BODY_MAX_BYTES:
        raise _TooLarge
    return message["type"] == "http.request" and bool(message.get("more_body"))


def _replay(body: bytes, receive: Receive) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


def _host(scope: Scope) -> str:
    """The `Host` without its port, in lower case; of an IPv6 address with its brackets."""
    host = Headers(scope=scope).get("Host", "").lower()
    return host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]


class StartFaults:
    """Says in one sentence why the service could not start, where the fault is the operator's to mend.

    Without this the server would log a traceback for it.
    """

    def __init__(self, app: ASGIApp, *, plain: tuple[type[Exception], ...]) -> None:
        self._app = app
        self._plain = plain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        failed: list[Message] = []

        async def hold_failure(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed":
                failed.append(message)
            else:
                await send(message)

        try:
            await self._app(scope, receive, hold_failure)
        except Exception as error:
            for message in failed:
                await send({**message, "message": str(error)} if isinstance(error, self._plain) else message)
            raise


class ShortWords(logging.Filter):
    """Keeps what uvicorn logs of requests short and without the query, as a launch's secret may stand in it.

    Such are its lines on WebSockets, which are asked for in vain here.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(_short(word) if isinstance(word, str) else word for word in record.args)
        return True


def _short(word: str) -> str:
    word = word.partition("?")[0]
    return word if len(word) <= LOGGED_WORD_MAX else word[:LOGGED_WORD_MAX] + "…"
