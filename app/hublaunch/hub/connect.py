"""A HubClient with its connections, built from the settings."""

import ssl
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache

import httpx

from hublaunch.hub.address import HubAddress, HubPace
from hublaunch.hub.client import HubClient
from hublaunch.hub.observed import CallListener, ObservedTransport
from hublaunch.settings import Settings, SettingsFault
from hublaunch.wire.transport import WireTransport


@asynccontextmanager
async def connect_hub(
    settings: Settings,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    check_lease: Callable[[], None] | None = None,
    listeners: Sequence[CallListener] = (),
    pace: HubPace | None = None,
) -> AsyncGenerator[HubClient]:
    """Yield a client of the Hub that the settings name, and close its connections on leaving.

    `listeners` are called for every request to the Hub. The retries of `pace` come from the settings. Raises
    SettingsFault if the TLS files cannot be used. `HTTP_PROXY` and its like are ignored, because the Hub is close by.
    """
    transport = transport or WireTransport(ssl_context=_ssl_context(settings))
    if listeners:
        transport = ObservedTransport(transport, listeners)
    async with transport:
        yield HubClient(
            transport,
            HubAddress(api_url=settings.hub_api_url, hub_url=settings.hub_url, proxy_url=settings.proxy_url),
            token=settings.hub_api_token.get_secret_value(),
            pace=replace(pace or HubPace(), tries=settings.retries, retry_delay_s=settings.retry_delay),
            check_lease=check_lease or (lambda: None),
        )


@asynccontextmanager
async def connect_web(settings: Settings) -> AsyncGenerator[httpx.AsyncBaseTransport]:
    """Yield a transport for addresses that may not be the Hub's. Errors as in `connect_hub`."""
    async with WireTransport(ssl_context=_ssl_context(settings)) as web:
        yield web


@cache
def _system_context() -> ssl.SSLContext:
    """Return the one context that trusts the system's certificates: loading them takes 20 ms."""
    return ssl.create_default_context()


def _ssl_context(settings: Settings) -> ssl.SSLContext:
    """Return the context that verifies the Hub and holds our certificate. Raises SettingsFault if a file is not PEM."""
    if settings.hub_ca_file is None and settings.hub_cert_file is None:
        return _system_context()
    try:
        context = ssl.create_default_context(cafile=str(settings.hub_ca_file) if settings.hub_ca_file else None)
    except ssl.SSLError as error:
        raise SettingsFault(["LAUNCHER_HUB_CA_FILE: the file has no certificates in PEM format."]) from error
    if settings.hub_cert_file:
        try:
            context.load_cert_chain(settings.hub_cert_file, settings.hub_key_file)
        except ssl.SSLError as error:
            sentence = (
                "LAUNCHER_HUB_CERT_FILE and LAUNCHER_HUB_KEY_FILE: the files are not a certificate and its key in PEM "
                "format."
            )
            raise SettingsFault([sentence]) from error
    return context
