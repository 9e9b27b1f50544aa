"""The ASGI side of the fake Hub: it records requests, applies the faults that a test ordered, and sends answers.

It also acts as the proxy in front of the Hub, and answers for the servers: `/user/NAME/[SERVER/]api`, and with a token
the pages of `HubSettings.pages`.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from email.utils import formatdate
from urllib.parse import unquote

from tests.fakes.asgi_server import AsgiServer, Receive, Scope, Send, until_disconnected
from tests.fakes.hub_api import Call, HubApi, Reply, parse_call
from tests.fakes.hub_faults import Cut, Fault, Operation, Script
from tests.fakes.hub_model import Refusal
from tests.fakes.hub_state import HubState

_PHRASES = {403: "Forbidden", 404: "Not Found", 500: "Internal Server Error"}


@dataclass(kw_only=True)
class Request:
    """A request as received, and the status of its answer."""

    method: str
    raw_path: str
    """The path as the client quoted it, with its query."""
    body: bytes
    traceparent: str
    """The header, or ""."""
    operation: Operation
    username: str
    server_name: str
    status: int | None = None
    """The status of the answer; None until it is sent, or if it never was."""


class HubApp:
    """An ASGI app over a `HubState`."""

    def __init__(self, state: HubState) -> None:
        self._state = state
        self._api = HubApi(state)
        self.server = AsgiServer(self._handle)
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.cuts: list[Cut] = []
        self.script: Script | None = None
        self.open_streams = 0

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _read(receive)
        query = scope["query_string"].decode("latin-1")
        raw_path = scope["raw_path"].decode("latin-1")
        headers = dict(scope["headers"])
        call = self._call(scope["method"], raw_path, query, body, headers.get(b"authorization", b"").decode("latin-1"))
        request = Request(
            method=scope["method"],
            raw_path=f"{raw_path}?{query}" if query else raw_path,
            body=body,
            traceparent=headers.get(b"traceparent", b"").decode("latin-1"),
            operation=call.operation,
            username=call.username,
            server_name=call.name,
        )
        self.requests.append(request)
        self._state.notice()
        exchange = _Exchange(request, scope, receive, send)
        if fault := self._fault_for(call):
            await self._fail(fault, call, exchange)
        else:
            await self._send(await self._answer(call), exchange)

    def _call(self, method: str, raw_path: str, query: str, body: bytes, authorization: str) -> Call:
        api = f"{self._state.base_url}hub/api"
        if raw_path == api or raw_path.startswith(f"{api}/"):
            path = raw_path.removeprefix(api).removeprefix("/")
            return parse_call(method, path, query=query, body=body, authorization=authorization)
        if raw_path == f"{self._state.base_url}hub/error/404":
            return Call(operation="show_page", query=query, body=b"", authorization="")
        prefix = f"{self._state.base_url}user/"
        if not raw_path.startswith(prefix):
            return Call(operation="unknown", query=query, body=b"", authorization="")
        username, *below = [unquote(part) for part in raw_path.removeprefix(prefix).split("/")]
        user = self._state.users.get(username)
        name = (
            below.pop(0)
            if len(below) > 1 and (user is None or below[0] in user.servers or below[1:] == ["api"])
            else ""
        )
        path = "/".join(below)
        operation: Operation = "reach_server" if path == "api" else "read_server"
        body = path.encode()
        return Call(
            operation=operation, username=username, name=name, query=query, body=body, authorization=authorization
        )

    async def _answer(self, call: Call) -> Reply:
        try:
            if call.operation == "reach_server":
                return self._reach(call)
            if call.operation == "read_server":
                return self._read(call)
            if call.operation == "show_page":
                return Reply(status=200, page=f'<script>require.config({{urlArgs: "v={self._state.starts}"}})</script>')
            return await self._api.answer(call)
        except Refusal as refusal:
            message = refusal.message or self._phrase(refusal.status)
            content = {"status": refusal.status, "message": message}
            return Reply(status=refusal.status, content=content, headers=refusal.headers)

    def _phrase(self, status: int) -> str | None:
        """Return the message of an error without a reason: null since 6.0, except after a crash."""
        return None if self._state.version_info >= (6,) and status != 500 else _PHRASES[status]

    def _reach(self, call: Call) -> Reply:
        """Answer as the server, or else as the user's default server, or else as the Hub, as the proxy routes."""
        user = self._state.users.get(call.username)
        servers = user.servers if user is not None else {}
        if call.name in servers and servers[call.name].answers:
            return Reply(status=200, content={"version": "2.17.0"})
        if "" in servers and servers[""].answers:
            return Reply(status=404, content={"message": "Not Found", "reason": None})
        path = self.requests[-1].raw_path.removeprefix(self._state.base_url)
        return Reply(status=302, headers={"Location": f"{self._state.base_url}hub/{path}"})

    def _read(self, call: Call) -> Reply:
        """Answer as a Jupyter server to a request for a page: 403 without a token for this server."""
        reached = self._reach(call)
        if reached.status != 200:
            return reached
        token = self._state.tokens.find(call.authorization.removeprefix("token "))
        if token is None or f"access:servers!server={call.username}/{call.name}" not in token.scopes:
            return Reply(status=403, content={"message": "Forbidden"})
        status, content = self._state.pages.get(call.body.decode(), (404, {"message": "Not Found"}))
        return Reply(status=status, content=content)

    # --- faults -------------------------------------------------------------------------------------------------------

    def _fault_for(self, call: Call) -> Fault | None:
        fault = next((fault for fault in self.faults if fault.hits(call.operation, call.username)), None)
        if fault is not None:
            fault.times -= 1
        elif self.script is not None:
            fault = self.script.fault(call.operation, call.username)
        return fault

    async def _fail(self, fault: Fault, call: Call, exchange: "_Exchange") -> None:
        if fault.act:
            reply = await self._answer(call)
            if reply.events is not None:
                await reply.events.aclose()
        match fault.how:
            case "answer":
                content_type, body = fault.content()
                await exchange.begin(fault.status, {"Content-Type": content_type.decode(), **fault.headers}, len(body))
                await exchange.send_all(body)
            case "reset":
                self.server.reset(exchange.scope)
                await until_disconnected(exchange.receive)
            case "drop":
                self.server.drop(exchange.scope)
                await until_disconnected(exchange.receive)
            case "hang":
                gone = asyncio.create_task(until_disconnected(exchange.receive))
                over = asyncio.create_task(fault.wait())
                await asyncio.wait({gone, over}, return_when=asyncio.FIRST_COMPLETED)
                over.cancel()
                if not gone.done():
                    self.server.drop(exchange.scope)
                    await gone
            case "late":
                await fault.wait()
                await self._send(await self._answer(call), exchange)
        self._state.notice()

    # --- answers ------------------------------------------------------------------------------------------------------

    async def _send(self, reply: Reply, exchange: "_Exchange") -> None:
        headers = {
            "Server": "TornadoServer/6.6.1",
            "Date": formatdate(time.time() + self._state.clock_ahead_s, usegmt=True),
            "X-Jupyterhub-Version": self._state.version,
            **reply.headers,
        }
        if reply.events is not None:
            await exchange.begin(reply.status, {"Content-Type": "text/event-stream", **headers}, None)
            await self._stream(reply.events, exchange)
            return
        body = b"" if reply.content is None else json.dumps(reply.content).encode()
        if reply.page is not None:
            headers["Content-Type"], body = "text/html", reply.page.encode()
        elif reply.status != 204:
            headers["Content-Type"] = "text/plain" if reply.content is None else "application/json"
        await exchange.begin(reply.status, headers, len(body))
        await exchange.send_all(body)
        self._state.notice()

    async def _stream(self, events: AsyncGenerator[bytes], exchange: "_Exchange") -> None:
        """Send the stream until it ends or is cut, or its reader leaves."""
        self.open_streams += 1
        self._state.notice()
        writer = asyncio.ensure_future(self._write(events, exchange))
        reader = asyncio.ensure_future(until_disconnected(exchange.receive))
        try:
            await asyncio.wait({writer, reader}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (writer, reader):
                task.cancel()
            await asyncio.gather(writer, reader, return_exceptions=True)
            self.open_streams -= 1
            self._state.notice()
        if not writer.cancelled():
            writer.result()

    async def _write(self, events: AsyncGenerator[bytes], exchange: "_Exchange") -> None:
        cut = self._cut_for(exchange.request) or Cut(username=exchange.request.username)
        left = cut.after_events
        async with contextlib.aclosing(events):
            while left > 0 and (chunk := await anext(events, None)):
                await exchange.send_pieces(chunk, cut.piece_bytes)
                left -= chunk.startswith(b"data:")
            if cut.in_event and left <= 0 and (chunk := await anext(events, None)):
                await exchange.send_part(chunk[: len(chunk) // 2])
        if left > 0 or cut.how == "end":
            await exchange.send_all(b"")
            return
        if cut.how == "drop":
            self.server.drop(exchange.scope)
        else:
            self.server.reset(exchange.scope)
        await asyncio.get_running_loop().create_future()  # the reader notices that the connection is gone

    def _cut_for(self, request: Request) -> Cut | None:
        for cut in self.cuts:
            if cut.times > 0 and (cut.username, cut.server_name) == (request.username, request.server_name):
                cut.times -= 1
                return cut
        return self.script.cut(request.username, request.server_name) if self.script is not None else None


@dataclass(frozen=True)
class _Exchange:
    """One request and the means to answer it."""

    request: Request
    scope: Scope
    receive: Receive
    send: Send

    async def begin(self, status: int, headers: dict[str, str], length: int | None) -> None:
        if length is not None and status != 204:
            headers = {**headers, "Content-Length": str(length)}
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        self.request.status = status
        await self.send({"type": "http.response.start", "status": status, "headers": raw})

    async def send_part(self, body: bytes) -> None:
        await self.send({"type": "http.response.body", "body": body, "more_body": True})

    async def send_pieces(self, body: bytes, most: int) -> None:
        """Send each piece before the next, so that the reader may see them one at a time."""
        for begin in range(0, len(body), most or len(body)):
            await self.send_part(body[begin : begin + (most or len(body))])
            await asyncio.sleep(0)

    async def send_all(self, body: bytes) -> None:
        await self.send({"type": "http.response.body", "body": body})


async def _read(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body", False):
            return body
