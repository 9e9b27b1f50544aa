"""How uvicorn serves hublaunch, from the command line and in the demo."""

import asyncio
import gc
import socket

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.settings import Settings

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
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=_protocol(settings.send_timeout),
        log_config=None,
        access_log=False,  # `Requests` logs them
        proxy_headers=False,
        server_header=False,
        ws="none",
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, int(settings.drain_s / 2)),
    )


def _protocol(send_timeout_s: float) -> type[HttpToolsProtocol]:
    """Uvicorn's own, which alone would keep what a client does not take until that client is gone.

    A stream whose reader is stuck ends as if the reader had left. Costs nothing per event: a connection tells by itself
    when more than it can hold has been written, and when that is taken.
    """

    class Protocol(HttpToolsProtocol):
        _stuck: asyncio.TimerHandle | None = None

        def pause_writing(self) -> None:
            super().pause_writing()
            self._stuck = self.loop.call_later(send_timeout_s, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            self._forget()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self._forget()

        def _forget(self) -> None:
            if self._stuck is not None:
                self._stuck.cancel()
                self._stuck = None

    return Protocol


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
