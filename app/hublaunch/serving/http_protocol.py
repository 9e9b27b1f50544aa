"""uvicorn's HTTP/1.1 protocol, with limits on everything that a client may send before and between requests."""

import asyncio
import select
from collections.abc import Awaitable, Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from hublaunch.api.middleware.sizes import HEADERS_MAX_BYTES, TARGET_MAX_BYTES
from hublaunch.api.problems.response import STANDALONE_HEADERS, http_problem
from hublaunch.serving.connections import Connections

HEAD_MAX_BYTES = 2 * HEADERS_MAX_BYTES + TARGET_MAX_BYTES
"""Most bytes of a request line and headers; more than those for which the app answers 431 or 414."""
HEADERS_MAX = 128
HEAD_TIMEOUT_S = 10.0
PIPELINED_MAX = 16
"""Most requests that may wait on one connection for the response to an earlier one."""
_CLOSED_BY_PEER = getattr(select, "POLLRDHUP", 0)
"""Linux reports it once the peer has closed its side, even before the rest of its bytes is read. Without it, `poll`
reports only resets and connections that are closed on both sides."""


class _Refused(Exception):
    """Ends the parsing of a request when raised in a callback of httptools."""


class BoundedProtocol(HttpToolsProtocol):
    """HttpToolsProtocol for untrusted clients.

    It limits the bytes, the number and the duration of headers and trailers, and pipelined requests. A client that
    reads nothing of a response for `send_timeout_s` is disconnected; a stream then ends as if its reader had left. The
    protocol tells `connections` when it is idle. The app never sees a request whose client has left before the app
    could begin: after a pause of the process, that is true of most requests. A client that closes its side of the
    connection has left, as uvicorn sees it too. None of this has a cost per event of a stream.
    """

    def __init__(
        self,
        *,
        send_timeout_s: float,
        connections: Connections,
        head_timeout_s: float,
        **given: Any,
    ) -> None:
        super().__init__(**given)
        self._head_timeout_s = head_timeout_s
        self._send_timeout_s = send_timeout_s
        self._others = connections
        self._current: RequestResponseCycle | None = None
        """The request that the app is answering. `cycle` is the last request that was read."""
        self._unread = 0
        """Bytes since the parser last returned a whole head or a piece of a body."""
        self._held = 0
        """The part of these that `connections` has counted."""
        self._in_message = False
        self._has_too_many_headers = False
        self._stuck: asyncio.TimerHandle | None = None
        self._overdue: asyncio.TimerHandle | None = None

    # --- the connection ---

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_request()
        self._others.opened(self, self.client[0] if self.client else "")

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._current is not None:  # uvicorn notifies only the last request read, which may still wait
            self._current.disconnected = True
            self._current.message_event.set()
        self._unset_keepalive_if_required()  # uvicorn omits this if the client has reset the connection
        self._others.closed(self)
        self._is_in_time()
        self._forget_stuck()

    def drop(self) -> None:
        """Close the connection immediately, without sending the rest."""
        self.transport.abort()

    def _await_request(self) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    @property
    def _is_answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    # --- what a client sends ---

    def data_received(self, data: bytes) -> None:
        self._unread += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._unread > HEAD_MAX_BYTES:
            self._refuse()
        elif not self._has_room():
            self.drop()
        elif self._unread or (self._in_message and not self._is_answering):
            self._must_end_in_time()
        else:
            self._is_in_time()
            if not self._is_answering and self.timeout_keep_alive_task is None:
                self._await_request()

    def _has_room(self) -> bool:
        """Return whether the bytes of an unfinished head may be kept. A complete head counts as none."""
        if self._unread == self._held:
            return True
        self._held = self._unread
        return self._others.holds(self, self._held)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_message = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self.headers) >= HEADERS_MAX:
            self._has_too_many_headers = True
            raise _Refused
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= PIPELINED_MAX:
            raise _Refused
        self._unread = 0
        super().on_headers_complete()
        if self.scope["http_version"] != "1.1":
            _answer_without_chunks(self.cycle)
        self._others.busy(self)

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unread = 0
        self._in_message = False
        super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        async def answer(*given: Any) -> None:
            if _has_left(self.transport):
                cycle.disconnected = True
                self.transport.close()
                self._must_be_taken_in_time()  # the response to an earlier request
            else:
                await app(*given)

        self._current = cycle
        super()._start_asgi_task(cycle, answer)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._is_answering:
            self._others.idle(self)
            if self._in_message:
                self._must_end_in_time()

    def _must_end_in_time(self) -> None:
        if self._overdue is None:
            self._overdue = self.loop.call_later(self._head_timeout_s, self._expire)

    def _is_in_time(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None

    def _expire(self) -> None:
        self._overdue = None
        if self.flow.read_paused:  # the rest may have arrived, but this side has not read it
            self._must_end_in_time()
        else:
            self.drop()

    def send_400_response(self, msg: str) -> None:
        """Close the connection, with a response unless another one is being sent."""
        if self._has_too_many_headers or self._is_answering:
            self._refuse()
        else:
            super().send_400_response(msg)

    def _refuse(self) -> None:
        if not self._is_answering:
            problem = http_problem(431, {**STANDALONE_HEADERS, "Connection": "close"})
            headers = b"".join(name + b": " + value + b"\r\n" for name, value in problem.raw_headers)
            self.transport.write(STATUS_LINE[431] + headers + b"\r\n" + bytes(problem.body))
        self.transport.close()
        self._must_be_taken_in_time()

    # --- what a client takes ---

    def pause_writing(self) -> None:
        super().pause_writing()
        self._must_be_taken_in_time()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._forget_stuck()

    def _must_be_taken_in_time(self) -> None:
        if self._stuck is None:
            self._stuck = self.loop.call_later(self._send_timeout_s, self.transport.abort)

    def _forget_stuck(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None


def _has_left(transport: asyncio.Transport) -> bool:
    """Return whether the client has closed its side of the connection, even if the event loop has not read that yet.

    This asks the system, for about 4 µs. A turn of the event loop costs as much, and comes before everything that has
    arrived in the meantime.
    """
    if transport.is_closing():
        return True
    now = select.poll()
    now.register(transport.get_extra_info("socket").fileno(), _CLOSED_BY_PEER)
    return bool(now.poll(0))


def _answer_without_chunks(cycle: RequestResponseCycle) -> None:
    """End a response of unknown length with its connection, as HTTP/1.0 has no chunks (RFC 9112 §6.3)."""
    send: Callable[[Any], Awaitable[None]] = cycle.send
    has_length = True
    cycle.keep_alive = False

    async def send_plain(message: Any) -> None:
        nonlocal has_length
        if message["type"] == "http.response.start":
            has_length = any(name.lower() == b"content-length" for name, _ in message["headers"])
            if not has_length:
                cycle.chunked_encoding = False
        elif not has_length:
            cycle.expected_content_length = len(message.get("body", b""))
        await send(message)

    cycle.send = send_plain  # type: ignore[method-assign]
