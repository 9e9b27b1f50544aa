"""uvicorn's HTTP protocol in the test's own loop: it starts and stops within a millisecond, even with open streams.

`uvicorn.Server` checks ten times a second whether to stop, and takes over signals. Tests need neither.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from tests.support.tcp import reset

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class AsgiServer:
    """Serves an ASGI app on 127.0.0.1. It can be stopped and started again on the same port."""

    def __init__(self, app: App, *, state: Mapping[str, Any] | None = None) -> None:
        self._app_state = dict(state or {})
        self._config = Config(
            self._guarded(app), lifespan="off", log_config=None, access_log=False, ws="none", proxy_headers=False
        )
        self._state = ServerState()
        self._server: asyncio.Server | None = None
        self._reservation: socket.socket | None = None

    @property
    def port(self) -> int:
        """The port. It stays the same from the first start, and stays reserved while stopped."""
        assert self._reservation is not None, "start the server first"
        port: int = self._reservation.getsockname()[1]
        return port

    @property
    def connections(self) -> int:
        """The number of open connections, idle ones included."""
        return len(self._state.connections)

    async def start(self, port: int = 0) -> None:
        if self._reservation is None:
            self._reservation = _bound(port)
        listener = _bound(self.port)
        self._server = await asyncio.get_running_loop().create_server(self._protocol, sock=listener, backlog=4096)

    async def stop(self) -> None:
        """Close the port, break every connection, and cancel the requests in progress."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for connection in list(self._state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # lets the connections notice, so that none tries to answer
        tasks = list(self._state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        """Stop, and release the port."""
        await self.stop()
        if self._reservation is not None:
            self._reservation.close()
            self._reservation = None

    def drop(self, scope: Scope) -> None:
        """Close the connection of this request immediately: no last chunk, no answer."""
        if transport := self._transport(scope):
            transport.close()

    def reset(self, scope: Scope) -> None:
        """Break the connection of this request with a TCP reset."""
        if transport := self._transport(scope):
            reset(transport)

    def _transport(self, scope: Scope) -> asyncio.Transport | None:
        """Return the transport with this request's peer address, which ASGI provides. None if the client has left."""
        http = (c for c in self._state.connections if isinstance(c, HttpToolsProtocol))
        return next((connection.transport for connection in http if connection.client == tuple(scope["client"])), None)

    def _protocol(self) -> HttpToolsProtocol:
        return HttpToolsProtocol(config=self._config, server_state=self._state, app_state=self._app_state)

    @staticmethod
    def _guarded(app: App) -> App:
        """Let requests that `stop` cancels end quietly. uvicorn would log them as errors of the app."""

        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            with contextlib.suppress(asyncio.CancelledError):
                await app(scope, receive, send)

        return guarded


def _bound(port: int) -> socket.socket:
    # asyncio sets TCP_NODELAY only if the protocol is named. Without it each answer is 40 ms late.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound


async def until_disconnected(receive: Receive) -> None:
    """Return once the client has left, or the server has broken the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
