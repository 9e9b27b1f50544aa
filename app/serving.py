"""How uvicorn serves hublaunch, from the command line and in the demo."""

import gc
import socket

import uvicorn
from fastapi import FastAPI

KEEP_ALIVE_S = 120
"""How long a connection is kept that is not in use: longer than proxies keep theirs (nginx 60 s, Traefik 90 s), which
would otherwise send a request into one that is just being closed."""

GC_THRESHOLDS = (50_000, 20, 50)
"""New objects before a collection of the young, of which so many before one of the middle-aged, and then of all."""


def server_config(app: FastAPI, *, host: str, port: int, drain_s: float) -> uvicorn.Config:
    """Logging is left as it is, and `X-Forwarded-For` to the app, which knows whom to trust. No WebSockets.

    Of `drain_s`, within which the process is to end once it is told to, requests get half; streams end by themselves.
    """
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,  # `Requests` logs them
        proxy_headers=False,
        server_header=False,
        ws="none",
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, int(drain_s / 2)),
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
