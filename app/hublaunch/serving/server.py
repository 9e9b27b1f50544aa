"""How uvicorn serves hublaunch, from the command line and in the demo."""

import gc
import logging
import socket
from functools import partial
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from hublaunch.serving.connections import Connections, room_for
from hublaunch.serving.http_protocol import BoundedProtocol
from hublaunch.settings import Settings

log = logging.getLogger(__name__)

KEEP_ALIVE_S = 120
"""How long a connection is kept that is not in use: longer than proxies keep theirs (nginx 60 s, Traefik 90 s), which
would otherwise send a request into one that is just being closed."""

GC_THRESHOLDS = (50_000, 20, 50)
"""New objects before a collection of the young, of which so many before one of the middle-aged, and then of all."""


def server_config(app: ASGIApp, settings: Settings, *, host: str, port: int) -> uvicorn.Config:
    """Logging is left as it is, and `X-Forwarded-For` to the app, which knows whom to trust. No WebSockets.

    Of `drain_s`, within which the process is to end once it is told to, requests get half; streams end by themselves.
    A client that takes nothing of its answer for `send_timeout` seconds loses its connection.
    """
    room = room_for(settings.max_connections, spawns=settings.max_concurrent_spawns)
    if room.connections < settings.max_connections:
        log.warning(
            "The process may open %d files, so it takes %d connections at once, not the %d of "
            "LAUNCHER_MAX_CONNECTIONS: raise the limit on open files (ulimit -n, LimitNOFILE)",
            room.files,
            room.connections,
            settings.max_connections,
        )
    connections = Connections(
        most=room.connections,
        most_per_address=room.connections_per_address,
        trusted_proxies=settings.trusted_proxies,
    )
    protocol: Any = partial(BoundedProtocol, send_timeout_s=settings.send_timeout, connections=connections)
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=protocol,
        backlog=room.backlog,
        log_config=None,
        access_log=False,  # `Requests` logs them
        proxy_headers=False,
        server_header=False,
        ws="none",
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, int(settings.drain_s / 2)),
    )


class Server(uvicorn.Server):
    """Keeps Python's garbage collector from going through what will never be garbage.

    What is there once the service has started, some 120,000 objects, stays until it ends; and each launch under way
    has hundreds that live for as long as it does. By Python's own thresholds the collector goes through all of them
    again and again, which was a fifth of what a launch costs in a burst: `docs/performance.md`. Until then it may be
    off, as `hublaunch serve` has it.
    """

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        gc.enable()
