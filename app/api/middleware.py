"""What every request must be before a route sees it. Plain ASGI, so that a stream passes through untouched."""

import asyncio
import logging
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.errors import http_problem

BODY_MAX_BYTES = 65_536
BODY_TIMEOUT_S = 10.0
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
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

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
                body = await _read(receive)
        except TimeoutError:
            await http_problem(408)(scope, receive, send)
            return
        if body is None:
            await http_problem(413)(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)


async def _read(receive: Receive) -> bytes | None:
    """The whole body, None if it is too large. A client that leaves has sent what it has sent."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > BODY_MAX_BYTES:
            return None
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return bytes(body)


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
