"""An httpx transport over aiohttp, whose errors tell what was sent from what was not.

Why not httpx's own: `docs/decisions/0001-own-transport.md`.
"""

import ssl
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from functools import lru_cache

import aiohttp
import httpx
from yarl import URL

_CHUNK_BYTES = 65_536


class AiohttpTransport(httpx.AsyncBaseTransport):
    """One aiohttp session: no limit of connections, no cookies, no redirects, no repeats, no proxies from outside.

    `httpx.ConnectError` and `httpx.ConnectTimeout` mean that nothing of the request was sent. After every other error
    the other side may have had all of it. A call that is cancelled, and a response that is closed before its end,
    close their connection; one that was read to its end gives it back.
    """

    def __init__(self, *, ssl_context: ssl.SSLContext) -> None:
        self._ssl_context = ssl_context
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        with _errors_of(request):
            response = await self._open_session().request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=request.headers.multi_items(),
                data=await request.aread() or None,
                allow_redirects=False,
                timeout=_timeout(**request.extensions.get("timeout", {})),
            )
        return httpx.Response(
            response.status,
            headers=response.raw_headers,
            stream=_Body(request, response),
            extensions={"reason_phrase": (response.reason or "").encode()},
        )

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _open_session(self) -> aiohttp.ClientSession:
        """The session is bound to the running loop, so it begins with the first request."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ssl=self._ssl_context),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
                trust_env=False,
            )
            # aiohttp repeats idempotent requests when a kept connection turns out to be closed, and takes no argument
            # against that; its own test client switches it off in this way too.
            self._session._retry_connection = False  # noqa: SLF001
        return self._session


class _Body(httpx.AsyncByteStream):
    """The response's body, read as it comes."""

    def __init__(self, request: httpx.Request, response: aiohttp.ClientResponse) -> None:
        self._request = request
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _errors_of(self._request):
            async for chunk in self._response.content.iter_any():
                yield chunk

    async def aclose(self) -> None:
        if self._response.content.is_eof() and not self._response.content.exception():
            self._response.release()
        else:
            self._response.close()


@lru_cache(maxsize=64)
def _timeout(
    connect: float | None = None, read: float | None = None, write: float | None = None, pool: float | None = None
) -> aiohttp.ClientTimeout:
    """Limits of httpx as aiohttp's. Writes and the pool, which is unlimited, have none there."""
    del write, pool
    return aiohttp.ClientTimeout(total=None, connect=connect, sock_connect=connect, sock_read=read)


@contextmanager
def _errors_of(request: httpx.Request) -> Generator[None]:
    """Errors of aiohttp as httpx's. The order matters: the first two are the ones before anything was sent."""
    try:
        yield
    except aiohttp.ConnectionTimeoutError as error:
        raise httpx.ConnectTimeout("no connection in time", request=request) from error
    except aiohttp.ClientConnectorError as error:
        raise httpx.ConnectError("no connection", request=request) from error
    except (aiohttp.ServerTimeoutError, TimeoutError) as error:
        raise httpx.ReadTimeout("no answer in time", request=request) from error
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError, aiohttp.ClientResponseError) as error:
        raise httpx.RemoteProtocolError("the answer is broken off or malformed", request=request) from error
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
        raise httpx.UnsupportedProtocol("not a URL of http or https", request=request) from error
    except (aiohttp.ClientError, OSError) as error:
        raise httpx.ReadError("the connection broke", request=request) from error
