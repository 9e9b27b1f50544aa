"""A HubClient with its connections, from the settings."""

import ssl
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager

import httpx

from hublaunch.hub.client import HubClient
from hublaunch.hub.observed import CallListener, ObservedTransport
from hublaunch.hub.transport import AiohttpTransport
from hublaunch.settings import Settings, SettingsFault

_WEB_TIMEOUT_S = 10.0


@asynccontextmanager
async def connect_hub(
    settings: Settings,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    check_lease: Callable[[], None] | None = None,
    listeners: Sequence[CallListener] = (),
) -> AsyncGenerator[HubClient]:
    """A client of the Hub that the settings name; its connections are closed on leaving.

    `listeners` are told of every request to the Hub. SettingsFault if the files for TLS cannot be used. `HTTP_PROXY`
    and its like are not heeded: the Hub is a neighbour.
    """
    transport = transport or AiohttpTransport(ssl_context=_ssl_context(settings))
    if listeners:
        transport = ObservedTransport(transport, listeners)
    async with transport:
        yield HubClient(
            transport,
            api_url=settings.hub_api_url,
            hub_url=settings.hub_url,
            proxy_url=settings.proxy_url,
            token=settings.hub_api_token.get_secret_value(),
            retries=settings.retries,
            retry_delay_s=settings.retry_delay,
            check_lease=check_lease or (lambda: None),
        )


@asynccontextmanager
async def connect_web(settings: Settings) -> AsyncGenerator[httpx.AsyncClient]:
    """A client without credentials, for addresses that may not be the Hub's; SettingsFault as above."""
    transport = AiohttpTransport(ssl_context=_ssl_context(settings))
    async with httpx.AsyncClient(transport=transport, timeout=_WEB_TIMEOUT_S, trust_env=False) as web:
        yield web


def _ssl_context(settings: Settings) -> ssl.SSLContext:
    """What the Hub's certificate is checked with, and what is shown to the Hub; SettingsFault if a file is no PEM."""
    try:
        context = ssl.create_default_context(cafile=str(settings.hub_ca_file) if settings.hub_ca_file else None)
    except ssl.SSLError as error:
        raise SettingsFault(["LAUNCHER_HUB_CA_FILE: holds no certificates in PEM form."]) from error
    if settings.hub_cert_file:
        try:
            context.load_cert_chain(settings.hub_cert_file, settings.hub_key_file)
        except ssl.SSLError as error:
            sentence = "LAUNCHER_HUB_CERT_FILE and LAUNCHER_HUB_KEY_FILE: are no certificate and its key in PEM form."
            raise SettingsFault([sentence]) from error
    return context
