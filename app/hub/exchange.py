"""Requests and answers by httpx's transport interface, without the work that httpx does around it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import httpx

Timeouts = Mapping[str, float | None]
"""In seconds, as httpx has them among the extensions of a request."""

Header = tuple[bytes, bytes]

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


class Exchange:
    """Requests to what lies below one URL.

    Straight through the transport: what `httpx.AsyncClient` does beside it (cookies, redirects, authentication) is not
    wanted here, and would cost more than the request. Of `httpx.Request` and `httpx.Response` only the fields are used:
    for each request they would parse its URL anew, work out headers that are known, and read the answer through three
    generators. So the path is given as the extension `target`, the headers with a `stream`, to which httpx adds none,
    and the answer is taken from its stream as it is, as no encoding is accepted but `identity`.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport, base_url: str) -> None:
        self.base_url = httpx.URL(base_url)
        self._transport = transport
        self._own_headers = [(b"Host", self.base_url.netloc), (b"Accept-Encoding", b"identity")]

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

    async def send(self, request: httpx.Request) -> Answer:
        """The answer, read to its end; what the transport raises passes through."""
        return await read(await self._transport.handle_async_request(request))

    async def open(self, request: httpx.Request) -> httpx.Response:
        """The head of the answer. Its connection is held until it was `read` or closed by `aclose`."""
        return await self._transport.handle_async_request(request)


async def read(response: httpx.Response) -> Answer:
    """The answer with what comes after its head, read to its end; its connection is let go of in any case."""
    assert isinstance(response.stream, httpx.AsyncByteStream)
    try:
        content = b"".join([chunk async for chunk in response.stream])
    finally:
        await response.stream.aclose()
    return Answer(status=response.status_code, headers=response.headers, content=content)
