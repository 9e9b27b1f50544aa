"""An httpx transport over asyncio and httptools: cheap with hundreds of streams, exact about what may have been sent.

Why not httpx's own transport, or aiohttp: `docs/decisions/0001-own-transport.md`.
"""

import asyncio
import math
import ssl
from pathlib import Path

import httpx

from hublaunch.wire.addresses import Resolve
from hublaunch.wire.connection import ServerConnection
from hublaunch.wire.connector import Connector
from hublaunch.wire.headers import headers_of
from hublaunch.wire.incoming import IncomingAnswer
from hublaunch.wire.origin import Origin
from hublaunch.wire.outgoing import written
from hublaunch.wire.pool import ConnectionPool


class WireTransport(httpx.AsyncBaseTransport):
    """Sends each request once, over as many connections as there are concurrent requests.

    A request's extension `target` replaces its URL's path, as in httpx's own transport. There are no redirects,
    cookies, proxies from the environment, decoding or retries. Without an `ssl_context` it trusts the system's
    certificates. Without `resolve` it uses the system's resolver; it connects only to addresses that `resolve`
    returned, or that the URL names. With `uds` it connects only to that Unix socket. Use it in one event loop.

    ConnectError, ConnectTimeout, LocalProtocolError and UnsupportedProtocol mean that nothing was sent. After any other
    error the server may have acted. No error's text contains a header or a body.

    Of httpx's timeouts, `connect` covers DNS to TLS, `write` the whole request, and `read` the whole head and then each
    piece of the body; `pool` is ignored. One more, `total`, covers everything to the end of the body. With TLS, `read`
    covers the request too and `write` is ignored, because asyncio does not say when a request has left.

    A cancelled call, or a response closed before its end, closes its connection. A response that arrived to its end
    leaves the connection for the next request. A body without length or chunks ends where its connection ends, and with
    TLS it is complete only if the server ended TLS too.
    """

    def __init__(
        self,
        *,
        ssl_context: ssl.SSLContext | None = None,
        resolve: Resolve | None = None,
        uds: Path | None = None,
    ) -> None:
        self._connector = Connector(ssl_context=ssl_context, resolve=resolve, uds=uds)
        self._pool = ConnectionPool()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request and return the response once its head has arrived."""
        loop = asyncio.get_running_loop()
        timeouts = request.extensions.get("timeout", {})
        total_s = timeouts.get("total")
        ends_at = math.inf if total_s is None else loop.time() + total_s
        try:
            origin = Origin.of(request.url)
            content = await written(request)
            connection = self._pool.take(origin)
            if connection is None:
                limits_s = [limit_s for limit_s in (timeouts.get("connect"), total_s) if limit_s is not None]
                connection = await self._connect(origin, loop, min(limits_s, default=None))
        except httpx.RequestError as error:
            error.request = request
            raise
        answer = IncomingAnswer(connection, request, read_s=timeouts.get("read"), ends_at=ends_at)
        connection.send(content, answer)
        await answer.read_head(write_s=timeouts.get("write"))
        return httpx.Response(answer.status, headers=headers_of(answer.headers), stream=answer)

    async def aclose(self) -> None:
        """Close every connection. Calls in progress end with an error."""
        self._pool.close()
        await asyncio.sleep(0)  # asyncio closes the sockets in the next turn of its loop

    async def _connect(
        self, origin: Origin, loop: asyncio.AbstractEventLoop, timeout_s: float | None
    ) -> ServerConnection:
        connection = await self._connector.connect(
            origin, lambda: ServerConnection(self._pool, origin, loop), timeout_s=timeout_s
        )
        if self._pool.is_closed:
            connection.abort()
            raise httpx.ConnectError("the transport is closed")
        if not connection.is_connected:
            raise httpx.ConnectError("the server closed the connection before the request was sent")
        self._pool.add(connection)
        return connection
