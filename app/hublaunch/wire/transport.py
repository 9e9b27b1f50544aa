"""An httpx transport over one aiohttp session: cheap with hundreds of streams, and exact about what may have been sent.

Why not httpx's own transport: `docs/decisions/0001-own-transport.md`.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from functools import lru_cache

import aiohttp
import httpx
import yarl
from aiohttp.abc import AbstractResolver, AbstractStreamWriter
from aiohttp.http_exceptions import HttpProcessingError

_HEADERS_AIOHTTP_WOULD_ADD = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_HEADER_BYTES_MAX = 65_536
_SHORTEST_TIMEOUT_S = 1e-6

# The first match counts. "" keeps aiohttp's own text, which names host and cause.
_ERRORS: tuple[tuple[type[Exception], type[httpx.RequestError], str], ...] = (
    (aiohttp.ConnectionTimeoutError, httpx.ConnectTimeout, "no connection in time"),
    (aiohttp.ClientConnectorError, httpx.ConnectError, ""),
    (UnicodeError, httpx.ConnectError, "the host's name cannot be looked up"),
    (ValueError, httpx.LocalProtocolError, "the request cannot be written as HTTP"),
    (aiohttp.SocketTimeoutError, httpx.ReadTimeout, "the server sent nothing in time"),
    (TimeoutError, httpx.WriteTimeout, "the server did not read the request in time"),
    (aiohttp.ServerDisconnectedError, httpx.RemoteProtocolError, "the server disconnected without a response"),
    (aiohttp.ClientPayloadError, httpx.RemoteProtocolError, "the response ended before it was complete"),
    (aiohttp.ClientResponseError, httpx.RemoteProtocolError, "the response is not HTTP"),
    (HttpProcessingError, httpx.RemoteProtocolError, "the response is not HTTP"),
    (aiohttp.ClientConnectionResetError, httpx.WriteError, "the connection was lost while the request was sent"),
)


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Sends each request once, over as many connections as there are concurrent requests.

    A request's extension `target` replaces its URL's path, as in httpx's own transport. There are no redirects,
    cookies, proxies from the environment or retries. The only header added to httpx's own is `Content-Length: 0` on a
    DELETE. Without an `ssl_context` it trusts the system's certificates. Without a `resolver` it uses the system's
    resolver; it connects only to addresses that the resolver returned, or that the URL names. Use it in one event loop.

    ConnectError, ConnectTimeout, LocalProtocolError and UnsupportedProtocol mean that nothing was sent. After any other
    error the server may have acted. No error's text contains a header or a body. Of httpx's timeouts, connect covers
    DNS to TLS, read applies until the headers and between chunks, write covers the whole body, and pool is ignored.

    A cancelled call, or a response closed before its end, closes its connection. A response read to its end leaves the
    connection for the next request. A body without length or chunks ends where its connection ends.
    """

    def __init__(self, *, ssl_context: ssl.SSLContext | None = None, resolver: AbstractResolver | None = None) -> None:
        self._ssl_context = ssl_context
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request and return the response once its headers have arrived."""
        url = _url(request)
        timeouts = request.extensions.get("timeout", {})
        assert isinstance(request.stream, httpx.AsyncByteStream)
        content = b"".join([part async for part in request.stream])
        try:
            response = await self._opened_session().request(
                request.method,
                url,
                headers=_headers(request),
                data=_Body(content, timeouts.get("write")) if content else None,
                timeout=_client_timeout(timeouts.get("connect"), timeouts.get("read")),
                allow_redirects=False,
            )
        except httpx.RequestError as error:
            error.request = request
            raise
        except (aiohttp.ClientError, ValueError) as error:  # raised before _without_retry
            raise httpx.LocalProtocolError("the request cannot be written as HTTP", request=request) from error
        return httpx.Response(
            response.status,
            headers=response.raw_headers,
            stream=_ResponseBody(response, request),
            extensions={"reason_phrase": (response.reason or "").encode()},
        )

    async def aclose(self) -> None:
        """Close every connection. Calls in progress end with an error."""
        if self._session is not None:
            await self._session.close()

    def _opened_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0,
                    ssl=self._ssl_context or True,
                    # the system's resolver, even if aiodns is installed
                    resolver=self._resolver or aiohttp.ThreadedResolver(),
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,  # httpx decodes
                skip_auto_headers=_HEADERS_AIOHTTP_WOULD_ADD,
                max_line_size=_HEADER_BYTES_MAX,
                max_field_size=_HEADER_BYTES_MAX,
                middlewares=(_without_retry,),
            )
        return self._session


class _Body(aiohttp.BytesPayload):
    """A request body with httpx's write timeout. aiohttp has none and would wait forever."""

    def __init__(self, content: bytes, timeout_s: float | None) -> None:
        super().__init__(content)
        self._timeout_s = timeout_s

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        async with asyncio.timeout(self._timeout_s):
            await super().write_with_length(writer, content_length)


class _ResponseBody(httpx.AsyncByteStream):
    """A response body. Not a generator, because the event loop keeps a list of those, and every request has a body."""

    def __init__(self, response: aiohttp.ClientResponse, request: httpx.Request) -> None:
        self._response = response
        self._request = request

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await self._response.content.readany()
        except (aiohttp.ClientError, HttpProcessingError, OSError, RuntimeError) as error:  # RuntimeError: aclose()
            mapped = _httpx_error(error)
            mapped.request = self._request
            raise mapped from error
        if not chunk:
            raise StopAsyncIteration
        return chunk

    async def aclose(self) -> None:
        self._response.close()


async def _without_retry(
    aiohttp_request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Turn aiohttp's errors into httpx's where they arise.

    aiohttp resends a GET, PUT or DELETE whose connection broke, but only after its own errors.
    """
    try:
        return await handler(aiohttp_request)
    except (aiohttp.ClientError, HttpProcessingError, OSError, ValueError) as error:
        # a ClientResponseError holds the request's headers, and so the token
        cause = error.__cause__ if isinstance(error, aiohttp.ClientResponseError) else error
        failure = _httpx_error(error)
    raise failure from cause


def _httpx_error(error: Exception) -> httpx.RequestError:
    for theirs, ours, words in _ERRORS:
        if isinstance(error, theirs):
            return ours(words or str(error))
    return httpx.ReadError("the connection was lost")


def _url(request: httpx.Request) -> yarl.URL:
    url = request.url
    if url.scheme not in ("http", "https") or not url.host:
        raise httpx.UnsupportedProtocol("the URL must be http:// or https:// and name a host", request=request)
    # httpx has already quoted it, and moved any user and password into a header
    target: bytes = request.extensions.get("target", url.raw_path)
    return yarl.URL(f"{url.scheme}://{url.netloc.decode()}{target.decode()}", encoded=True)


def _headers(request: httpx.Request) -> list[tuple[str, str]]:
    """Return httpx's headers, without chunking, because the body is sent whole."""
    return [
        (name.decode(), value.decode()) for name, value in request.headers.raw if name.lower() != b"transfer-encoding"
    ]


@lru_cache
def _client_timeout(connect_s: float | None, read_s: float | None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(connect=_aiohttp_seconds(connect_s), sock_read=_aiohttp_seconds(read_s))


def _aiohttp_seconds(seconds: float | None) -> float | None:
    """Translate 0, which means "immediately" to httpx and "never" to aiohttp."""
    return None if seconds is None else max(seconds, _SHORTEST_TIMEOUT_S)
