"""The answer to one request, as its bytes arrive."""

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Protocol

import httptools
import httpx

from hublaunch.wire.headers import Field

HEAD_BYTES_MAX = 65_536
"""The most bytes of an answer's headers and trailers, and of anything else that arrives without a piece of the body."""
HEADER_BYTES_LEAST = 512
"""The least that a header counts toward HEAD_BYTES_MAX, so that there are at most 128 headers."""
BUFFER_BYTES_MAX = 65_536
"""Bytes of a body that wait for their reader. When there are more, nothing is read from the connection."""


class Line(Protocol):
    """The connection on which an answer arrives."""

    loop: asyncio.AbstractEventLoop
    is_sending: bool
    """Whether so much of the request still has to be sent that its sender must wait."""

    def pause(self) -> None:
        """Stop reading from the connection."""

    def resume(self) -> None:
        """Continue reading from the connection."""

    def abort(self) -> None:
        """Close the connection immediately."""


class IncomingAnswer(httpx.AsyncByteStream):
    """An answer: first its head, which `read_head` waits for, then the stream of its body.

    The connection calls `feed` with each piece of the answer, and `lost` if it ends first. A call that is cancelled, or
    takes too long, closes the connection. So does `aclose` before the answer's end.

    Each answer has a parser of its own, because llhttp does not know that an answer to HEAD has no body. The stream is
    not a generator, because the event loop keeps a list of those, and every request has an answer.
    """

    def __init__(self, line: Line, request: httpx.Request, *, read_s: float | None, ends_at: float) -> None:
        """`read_s` limits the time for the head, and for each piece of the body. `ends_at` limits the whole answer, by
        the event loop's clock.
        """
        self.status = 0
        """The status of the final head; 0 until that head is complete."""
        self.headers: list[Field] = []
        self.is_complete = False
        self.is_reusable = False
        """Whether the server keeps the connection open, and sent nothing after the answer's end."""
        self._line = line
        self._request = request
        self._read_s = math.inf if read_s is None else read_s
        self._ends_at = ends_at
        self._loop = line.loop
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        """None once nothing more can arrive, because it refers back to this object."""
        self._failure: httpx.RequestError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._pieces: list[bytes] = []
        self._buffered = 0
        self._header_bytes = 0
        self._bytes_without_body = 0
        self._is_chunked = False
        self._ends_with_connection = False

    async def read_head(self, *, write_s: float | None) -> None:
        """Return when the head is complete. Raises WriteTimeout, ReadTimeout, ReadError or RemoteProtocolError."""
        until = self._loop.time() + (math.inf if write_s is None else write_s)
        while self._line.is_sending and not self.status and self._failure is None:
            await self._wait(until, httpx.WriteTimeout)
        until = self._loop.time() + self._read_s
        while not self.status:
            if self._failure is not None:
                raise self._failure
            await self._wait(until, httpx.ReadTimeout)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """Return what has arrived of the body. Raises ReadTimeout, ReadError or RemoteProtocolError."""
        until = self._loop.time() + self._read_s
        while not self._pieces:
            if self.is_complete:
                raise StopAsyncIteration
            if self._failure is not None:
                raise self._failure
            await self._wait(until, httpx.ReadTimeout)
        content = b"".join(self._pieces)
        self._pieces.clear()
        self._buffered = 0
        if not self.is_complete:
            self._line.resume()
        return content

    async def aclose(self) -> None:
        """Close the connection, unless the answer is complete."""
        if not self.is_complete:
            self.fail(httpx.ReadError("the response was closed"))

    def feed(self, data: bytes) -> None:
        """Take bytes of the answer. An answer that is not valid HTTP closes the connection."""
        if self._parser is None:
            return
        self._bytes_without_body += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.is_reusable = False
            self.fail(httpx.RemoteProtocolError("the response is not HTTP"), error)
        if self._bytes_without_body > HEAD_BYTES_MAX:
            self.fail(httpx.RemoteProtocolError("the response has too many bytes outside its body"))
        if self.is_complete:
            self._parser = None
        self.wake()

    def lost(self, error: Exception | None, *, by_us: bool) -> None:
        """Take the end of the connection.

        It is also the end of a body with neither a length nor chunks, unless this side closed the connection.
        """
        if self._ends_with_connection and error is None and not by_us:
            self.is_complete = True
            self._parser = None
        elif by_us or (error is not None and not self.status):
            self.fail(httpx.ReadError("the connection was lost"), error)
        elif self.status:
            self.fail(httpx.RemoteProtocolError("the response ended before it was complete"), error)
        else:
            self.fail(httpx.RemoteProtocolError("the server disconnected without a response"))
        self.wake()

    def fail(self, failure: httpx.RequestError, cause: BaseException | None = None) -> None:
        """Close the connection. The reader gets this error after the pieces that arrived before it.

        A complete answer stays complete.
        """
        if self.is_complete or self._failure is not None:
            return
        failure.request = self._request
        failure.__cause__ = cause
        self._failure = failure
        self._parser = None
        self._line.abort()

    def wake(self) -> None:
        """Let the reader see what has changed."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def on_message_begin(self) -> None:
        if self.is_complete:
            self.is_reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or after the body a trailer, which nobody reads."""
        self._header_bytes += max(HEADER_BYTES_LEAST, len(name) + len(value))
        if self._header_bytes > HEAD_BYTES_MAX:
            raise ValueError("the head is too large")
        if not self.status:
            self.headers.append((name, name.lower(), value.rstrip(b" ")))  # llhttp strips only the spaces before it

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        status = self._parser.get_status_code()
        if status < 200:
            if status < 100 or status == 101:  # nobody asked for another protocol
                raise ValueError("the status has no meaning here")
            self.headers.clear()
            return
        has_length = False
        for _, name, value in self.headers:
            if name == b"content-length":
                has_length = True
            elif name == b"transfer-encoding":
                if self._is_chunked or value.lower() != b"chunked":
                    raise ValueError("the body has an encoding that nobody asked for")
                self._is_chunked = True
        self._ends_with_connection = not (self._is_chunked or has_length)
        self._bytes_without_body = 0
        self.status = status
        if self._request.method == "HEAD":
            self._complete()

    def on_body(self, content: bytes) -> None:
        if self.is_complete:
            self.is_reusable = False
            return
        self._bytes_without_body = 0
        self._pieces.append(content)
        self._buffered += len(content)
        if self._buffered > BUFFER_BYTES_MAX:
            self._line.pause()

    def on_message_complete(self) -> None:
        if not self.status:  # an interim answer's
            return
        if not self.is_complete:
            self._complete()
        elif self._is_chunked:  # the answer to HEAD has chunks
            self.is_reusable = False

    def _complete(self) -> None:
        assert self._parser is not None
        self.is_complete = True
        self.is_reusable = self._parser.should_keep_alive()

    async def _wait(self, until: float, kind: type[httpx.TimeoutException]) -> None:
        """Wait for news. Past `until`, or past the time for the whole answer, fail with an error of this kind."""
        self._waiter = self._loop.create_future()
        until = min(until, self._ends_at)
        timer = self._loop.call_at(until, self._expire, kind) if until < math.inf else None
        try:
            await self._waiter
        except asyncio.CancelledError:
            await self.aclose()
            raise
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def _expire(self, kind: type[httpx.TimeoutException]) -> None:
        is_late = kind is httpx.WriteTimeout
        self.fail(kind("the server did not read the request in time" if is_late else "the server sent nothing in time"))
        self.wake()
