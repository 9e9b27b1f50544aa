"""How uvicorn serves hublaunch, from the command line and in the demo."""

import uvicorn
from fastapi import FastAPI

KEEP_ALIVE_S = 120
"""How long a connection is kept that is not in use: longer than proxies keep theirs (nginx 60 s, Traefik 90 s), which
would otherwise send a request into one that is just being closed."""


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
