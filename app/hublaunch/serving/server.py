"""The configuration of uvicorn, for the command line and the demo."""

import gc
import logging
import socket
from functools import partial
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from hublaunch.serving.connections import Connections, room_for
from hublaunch.serving.http_protocol import HEAD_TIMEOUT_S, BoundedProtocol
from hublaunch.settings import Settings

log = logging.getLogger(__name__)

KEEP_ALIVE_S = 120
"""How long an idle connection stays open: longer than in proxies (nginx 60 s, Traefik 90 s), which would otherwise send
a request on a connection that is just closing."""

GC_THRESHOLDS = (50_000, 20, 50)
"""The thresholds of the three generations, as `gc.set_threshold` takes them."""


def server_config(
    app: ASGIApp, settings: Settings, *, host: str, port: int, head_timeout_s: float = HEAD_TIMEOUT_S
) -> uvicorn.Config:
    """Return the configuration. Logging stays as it is, and WebSockets are off.

    The app reads `X-Forwarded-For` itself, because it knows which proxies to trust. On shutdown, requests get half of
    `drain_s` to finish; streams end by themselves.
    """
    room = room_for(settings.max_connections, spawns=settings.max_concurrent_spawns)
    if room.connections < settings.max_connections:
        log.warning(
            "The process may open only %d files, so it accepts %d concurrent connections instead of the %d of "
            "LAUNCHER_MAX_CONNECTIONS. Raise the limit on open files (ulimit -n, LimitNOFILE)",
            room.files,
            room.connections,
            settings.max_connections,
        )
    connections = Connections(
        most=room.connections,
        most_per_address=room.connections_per_address,
        trusted_proxies=settings.trusted_proxies,
    )
    protocol: Any = partial(
        BoundedProtocol,
        send_timeout_s=settings.send_timeout,
        connections=connections,
        head_timeout_s=head_timeout_s,
    )
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=protocol,
        backlog=room.backlog,
        log_config=None,
        access_log=False,  # `AccessLog` logs requests
        proxy_headers=False,
        server_header=False,
        ws="none",
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, int(settings.drain_s / 2)),
    )


class ServiceServer(uvicorn.Server):
    """uvicorn with a garbage collector that skips the objects which live as long as the process.

    Some 120,000 objects exist once the service has started, and each launch in progress adds hundreds. With Python's
    thresholds the collector visits all of them again and again, which is a fifth of the cost of a launch in a burst
    (`docs/performance.md`). Before the start it may be off, as in `hublaunch serve`.
    """

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        gc.enable()
