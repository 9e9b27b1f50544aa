"""Small web servers that a test writes with aiohttp."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from ssl import SSLContext

from aiohttp import web


@asynccontextmanager
async def running(app: web.Application, *, tls: SSLContext | None = None) -> AsyncGenerator[int]:
    """Serve the app on 127.0.0.1, and yield its port."""
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
