"""Requests and answers by httpx's transport interface, without the work that httpx does around it."""

import asyncio
import re
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass

import httpx

Timeouts = Mapping[str, float]
"""Of `connect`, `write` and `read`, in seconds, as httpx has them among the extensions of a request."""

Header = tuple[bytes, bytes]

ANSWER_BYTES_MAX = 16_777_216
"""Far above any answer that is asked for here: the largest is a user with all servers, some kilobytes each."""

_QUOTED = re.compile(r"[A-Za-z0-9._~@%/?=&-]*")
"""Of what `paths.py` makes paths."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """An answer that was read to its end."""

    status: int
    headers: httpx.Headers
    content: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


class AnswerTooLarge(httpx.HTTPError):
    """An answer is longer than it may be. The rest of it was not read, and the connection is closed."""

    def __init__(self, head: Answer) -> None:
        super().__init__("the answer is too large")
        self.head = head
        """The answer without its body."""


class Exchange:
    """Requests to what lies below one URL.

    Straight through the transport: what `httpx.AsyncClient` does beside it (cookies, redirects, authentication) is not
    wanted here, and would cost more than the request. Of `httpx.Request` and `httpx.Response` only the fields are used:
    for each request they would parse its URL anew, work out headers that are known, and read the answer through three
    generators. So the path is given as the extension `target`, the headers with a `stream`, to which httpx adds none,
    and the answer is taken from its stream as it is, as no encoding is accepted but `identity`.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport, base_url: str, *, host: bytes | None = None) -> None:
        """`host`: the Host header, where it is not the URL's, as for a proxy that routes by it."""
        self.base_url = httpx.URL(base_url)
        self._transport = transport
        self._own_headers = [(b"Host", host or self.base_url.netloc), (b"Accept-Encoding", b"identity")]

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
        """A request to a `path` relative to the URL, its parts quoted; `kind` is what observers call it.

        What is not quoted httpx quotes, or refuses with InvalidURL.
        """
        target = self.base_url.raw_path + path.encode()
        if not _QUOTED.fullmatch(path):
            target = httpx.URL(f"{self.base_url}{path}").raw_path
        given = [*self._own_headers, *headers]
        if method != "GET":
            given += [(b"Content-Type", content_type), (b"Content-Length", b"%d" % len(content))]
        return httpx.Request(
            method,
            self.base_url,
            headers=given,
            stream=httpx.ByteStream(content),
            extensions={"target": target, "timeout": timeouts, "kind": kind},
        )

    def send(self, request: httpx.Request, *, most_bytes: int = ANSWER_BYTES_MAX) -> Awaitable[Answer]:
        """Return the answer, read to its end.

        The errors of the transport pass through. AnswerTooLarge beyond `most_bytes`. ReadTimeout if the whole takes
        longer than the request's timeouts together: a peer that sends a byte now and then would never exceed one.
        """
        return _answer(request, self._transport.handle_async_request(request), most_bytes)

    async def open(self, request: httpx.Request) -> httpx.Response:
        """The head of the answer. Its connection is held until it was given to `finish` or closed by `aclose`."""
        return await self._transport.handle_async_request(request)

    def finish(self, request: httpx.Request, response: httpx.Response) -> Awaitable[Answer]:
        """Return an answer that was opened, read to its end. Errors as in `send`."""
        return _answer(request, _opened(response), ANSWER_BYTES_MAX)


async def _answer(request: httpx.Request, opening: Awaitable[httpx.Response], most_bytes: int) -> Answer:
    try:
        async with asyncio.timeout(sum(request.extensions["timeout"].values())):
            return await _read(await opening, most_bytes)
    except TimeoutError as error:
        raise httpx.ReadTimeout("the answer was not complete in time") from error


async def _opened(response: httpx.Response) -> httpx.Response:
    return response


async def _read(response: httpx.Response, most_bytes: int) -> Answer:
    """Return the answer with its body, read to its end; its connection is let go of in any case. AnswerTooLarge."""
    assert isinstance(response.stream, httpx.AsyncByteStream)
    chunks, length = [], 0
    try:
        async for chunk in response.stream:
            length += len(chunk)
            if length > most_bytes:
                raise AnswerTooLarge(Answer(status=response.status_code, headers=response.headers, content=b""))
            chunks.append(chunk)
    finally:
        await response.stream.aclose()
    return Answer(status=response.status_code, headers=response.headers, content=b"".join(chunks))
