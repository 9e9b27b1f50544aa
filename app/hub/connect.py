"""A HubClient with its connections, from the settings."""

import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx

from app.hub.client import HubClient
from app.hub.transport import AiohttpTransport
from app.settings import Settings


@asynccontextmanager
async def connect_hub(
    settings: Settings, *, transport: httpx.AsyncBaseTransport | None = None
) -> AsyncGenerator[HubClient]:
    """A client of the Hub that the settings name; its connections are closed on leaving.

    `HTTP_PROXY` and its like are not heeded: the Hub is a neighbour.
    """
    transport = transport or AiohttpTransport(ssl_context=_ssl_context(settings))
    async with transport:
        yield HubClient(
            transport,
            api_url=settings.hub_api_url,
            server_check_url=settings.server_check_url,
            token=settings.hub_api_token.get_secret_value(),
            retries=settings.retries,
            retry_delay_s=settings.retry_delay,
        )


def _ssl_context(settings: Settings) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(settings.hub_ca_file) if settings.hub_ca_file else None)
    if settings.hub_cert_file:
        context.load_cert_chain(settings.hub_cert_file, settings.hub_key_file)
    return context
