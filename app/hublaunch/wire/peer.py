"""Requests to one web server over httpx's transport interface, without the work that httpx's client adds."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import httpx

from hublaunch.wire.headers import Header, field_of, headers_of

Timeouts = Mapping[str, float]
"""Seconds for `connect`, `write` and `read`, as httpx has them in the extensions of a request, and perhaps `total`."""

ANSWER_BYTES_MAX = 16_777_216
"""Far above any expected answer: the largest is a user with all servers, a few kilobytes each."""

_QUOTED = re.compile(r"[A-Za-z0-9._~@%/?=&-]*")
"""Characters of a path that need no quoting."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """A complete answer: status, headers and body."""

    status: int
    headers: httpx.Headers
    content: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


class AnswerTooLarge(httpx.HTTPError):
    """The answer exceeds its size limit. The rest was not read, and the connection is closed."""

    def __init__(self, head: Answer) -> None:
        super().__init__("the answer is too large")
        self.head = head
        """The answer without its body."""


class Peer:
    """A web server, or the part of it below one URL.

    Requests go straight through the transport. The extras of `httpx.AsyncClient` (cookies, redirects, authentication)
    are not wanted here, and would cost more than the request. Only the plain fields of `httpx.Request` and
    `httpx.Response` are used. Otherwise, httpx would parse the URL again with every request, compute known headers
    again, and read the answer through three generators. So the path is passed as the extension `target`. The headers
    come with a `stream`; then httpx adds no headers of its own. The answer is read from its stream as it is, because
    only the encoding `identity` is accepted.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport, base_url: str, *, host: bytes | None = None) -> None:
        """`host` is the Host header if it differs from the URL's host, as for a proxy that routes by it."""
        self.base_url = httpx.URL(base_url)
        self._transport = transport
        own = [(b"Host", host or self.base_url.netloc), (b"Accept-Encoding", b"identity")]
        self._own_fields = [field_of(header) for header in own]

    def request(
        self,
        method: str,
        path: str,
        *,
        timeouts: Timeouts,
        kind: str,
        headers: Sequence[Header] = (),
        content: bytes = b"",
        content_type: bytes = b"application/json",
    ) -> httpx.Request:
        """Return a request for `path`, relative to the base URL and quoted. `kind` names it in metrics and traces.

        httpx quotes other characters, or raises InvalidURL.
        """
        target = self.base_url.raw_path + path.encode()
        if not _QUOTED.fullmatch(path):
            target = httpx.URL(f"{self.base_url}{path}").raw_path
        fields = [*self._own_fields, *map(field_of, headers)]
        if method not in ("GET", "HEAD"):
            fields.append((b"Content-Type", b"content-type", content_type))
            fields.append((b"Content-Length", b"content-length", b"%d" % len(content)))
        return httpx.Request(
            method,
            self.base_url,
            headers=headers_of(fields),
            stream=httpx.ByteStream(content),
            extensions={"target": target, "timeout": timeouts, "kind": kind},
        )

    async def send(self, request: httpx.Request, *, bytes_max: int = ANSWER_BYTES_MAX) -> Answer:
        """Send the request and return the complete answer.

        Errors of the transport pass through. Raises AnswerTooLarge beyond `bytes_max`. The whole call may take as long
        as the sum of the request's timeouts, because a peer that sends single bytes would never exceed one of them.
        """
        timeouts = request.extensions["timeout"]
        request.extensions["timeout"] = {**timeouts, "total": sum(timeouts.values())}
        return await _read(await self._transport.handle_async_request(request), bytes_max)

    async def open(self, request: httpx.Request) -> httpx.Response:
        """Send the request and return the head of the answer. Pass it to `finish` or close it with `aclose`."""
        return await self._transport.handle_async_request(request)

    async def finish(self, request: httpx.Request, response: httpx.Response) -> Answer:
        """Read the rest of an open answer, in the time that `send` gives a whole call. Errors as in `send`."""
        try:
            async with asyncio.timeout(sum(request.extensions["timeout"].values())):
                return await _read(response, ANSWER_BYTES_MAX)
        except TimeoutError as error:
            raise httpx.ReadTimeout("the answer was not complete in time") from error


async def _read(response: httpx.Response, bytes_max: int) -> Answer:
    """Read the body and release the connection in any case. Raises AnswerTooLarge beyond `bytes_max`."""
    assert isinstance(response.stream, httpx.AsyncByteStream)
    chunks, length = [], 0
    try:
        async for chunk in response.stream:
            length += len(chunk)
            if length > bytes_max:
                raise AnswerTooLarge(Answer(status=response.status_code, headers=response.headers, content=b""))
            chunks.append(chunk)
    finally:
        await response.stream.aclose()
    return Answer(status=response.status_code, headers=response.headers, content=b"".join(chunks))
