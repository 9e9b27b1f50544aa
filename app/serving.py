"""How uvicorn serves hublaunch, from the command line and in the demo."""

import uvicorn
from fastapi import FastAPI

GRACEFUL_SHUTDOWN_S = 5
"""Streams end by themselves when the process is told to stop; this is for a request that does not."""


def server_config(app: FastAPI, *, host: str, port: int, access_log: bool = True) -> uvicorn.Config:
    """Logging is left as it is, and `X-Forwarded-For` to the app, which knows whom to trust. No WebSockets."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=access_log,
        proxy_headers=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_S,
    )
