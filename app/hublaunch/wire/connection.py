"""A connection to a server, with at most one request at a time."""

import asyncio
import select
import ssl
from typing import Protocol, cast

from hublaunch.wire.incoming import IncomingAnswer
from hublaunch.wire.origin import Origin

SENT_AT_ONCE_BYTES = 8192
"""A request of this size always fits into the system's buffer. Under TLS, asyncio hides how much is still unsent."""


class Owner(Protocol):
    """The pool that a connection belongs to."""

    def freed(self, connection: "ServerConnection") -> None:
        """Take note that the connection can take the next request."""

    def lost(self, connection: "ServerConnection") -> None:
        """Take note that the connection has ended."""


class ServerConnection(asyncio.Protocol):
    """An HTTP/1.1 connection to one origin."""

    def __init__(self, owner: Owner, origin: Origin, loop: asyncio.AbstractEventLoop) -> None:
        self.origin = origin
        self.loop = loop
        self.idle_since = 0.0
        """When its last answer ended, by the event loop's clock."""
        self.is_sending = False
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._answer: IncomingAnswer | None = None
        self._arrived = select.poll()
        self._is_paused = False
        self._is_aborted = False
        self._is_at_end = False
        self._may_be_sending = False

    @property
    def is_connected(self) -> bool:
        """Whether a request can be sent, as far as the event loop knows."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def is_open(self) -> bool:
        """Whether the server has neither closed this idle connection nor sent anything.

        It asks the system, because the event loop may not have seen the server's last packet yet. A request on a
        connection that the server has closed would be lost, and nobody could tell whether the server had acted.
        """
        return self.is_connected and not self._arrived.poll(0)

    def send(self, request: bytes, answer: IncomingAnswer) -> None:
        """Send a request, and give `answer` what arrives."""
        assert self._transport is not None
        self._answer = answer
        self._may_be_sending = self.origin.scheme == "https" and len(request) > SENT_AT_ONCE_BYTES
        self._transport.write(request)

    def pause(self) -> None:
        if not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()

    def abort(self) -> None:
        self._is_aborted = True
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._arrived.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None:
            self.abort()  # nobody asked for it
            return
        answer.feed(data)
        if answer.is_complete:
            self._finish(answer)

    def eof_received(self) -> None:
        """Take note that the server sends nothing more.

        TLS has an end of its own. Without it somebody else may have cut the answer (RFC 9112, section 9.8).
        """
        assert self._transport is not None
        tls: ssl.SSLObject | None = self._transport.get_extra_info("ssl_object")
        self._is_at_end = tls is None or _has_end(tls)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        answer, self._answer = self._answer, None
        if answer is not None:
            if exc is None and not self._is_at_end and not self._is_aborted:
                exc = ConnectionResetError("the connection ended without the end of TLS")
            answer.lost(exc, by_us=self._is_aborted)
        self._owner.lost(self)

    def pause_writing(self) -> None:
        self.is_sending = True

    def resume_writing(self) -> None:
        self.is_sending = False
        if self._answer is not None:
            self._answer.wake()

    def _finish(self, answer: IncomingAnswer) -> None:
        assert self._transport is not None
        self._answer = None
        if answer.is_reusable and not self._may_be_sending and not self._transport.get_write_buffer_size():
            self.resume()
            self._owner.freed(self)
        else:
            self.abort()


def _has_end(tls: ssl.SSLObject) -> bool:
    """Return whether the server has sent its close_notify (RFC 8446, section 6.1)."""
    try:
        return tls.read(1) == b""
    except ssl.SSLError:  # more would have to arrive
        return False
