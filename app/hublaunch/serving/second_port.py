"""A second port of the process, for an app that must not be reachable on the first."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import uvicorn
from starlette.types import ASGIApp
from uvicorn.server import ServerState

from hublaunch.serving.connections import Connections
from hublaunch.serving.http_protocol import HEAD_TIMEOUT_S, BoundedProtocol

CONNECTIONS_MAX = 64
SEND_TIMEOUT_S = 10.0
SHUTDOWN_S = 1.0


@asynccontextmanager
async def second_port(app: ASGIApp, *, host: str, port: int) -> AsyncGenerator[int]:
    """Serve the app on a port of its own and yield the port's number. 0 takes a free one.

    It uses uvicorn's protocol without `uvicorn.Server`, because a second server would take over signals and logs. When
    the context ends, requests in progress get SHUTDOWN_S to finish. Raises OSError if the port cannot be opened.
    """
    config = uvicorn.Config(
        app, lifespan="off", log_config=None, access_log=False, proxy_headers=False, server_header=False, ws="none"
    )
    config.load()
    state = ServerState()
    connections = Connections(most=CONNECTIONS_MAX, most_per_address=CONNECTIONS_MAX, trusted_proxies=())

    def protocol() -> BoundedProtocol:
        return BoundedProtocol(
            config=config,
            server_state=state,
            app_state={},
            connections=connections,
            send_timeout_s=SEND_TIMEOUT_S,
            head_timeout_s=HEAD_TIMEOUT_S,
        )

    server = await asyncio.get_running_loop().create_server(protocol, host, port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        if state.tasks:
            await asyncio.wait(tuple(state.tasks), timeout=SHUTDOWN_S)
        for connection in tuple(state.connections):
            connection.transport.abort()
