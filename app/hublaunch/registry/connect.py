"""The registries as the settings name them: their hosts, credentials and platforms."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from hublaunch.registry.client import CredentialsOf, RegistryClient
from hublaunch.registry.credentials import RegistryConfig
from hublaunch.registry.hosts import NamedHosts, named_hosts
from hublaunch.registry.resolver import guarded
from hublaunch.wire.addresses import Resolve, system_addresses
from hublaunch.wire.transport import WireTransport


@asynccontextmanager
async def connect_registries(
    *,
    patterns: Callable[[], Sequence[str]],
    config: Path | None,
    platforms: Sequence[str],
    resolve: Resolve = system_addresses,
) -> AsyncGenerator[RegistryClient]:
    """Yield a client of the registries that the image patterns name. Raises RegistryConfigFault.

    It trusts the system's certificates, and those of SSL_CERT_FILE. `HTTP_PROXY` and its like are ignored.
    """
    credentials: CredentialsOf = RegistryConfig(config).of if config is not None else lambda _: None

    def named() -> NamedHosts:
        return named_hosts(tuple(patterns()))

    context = await asyncio.to_thread(ssl.create_default_context)
    async with WireTransport(ssl_context=context, resolve=guarded(named, resolve)) as transport:
        yield RegistryClient(transport=transport, named=named, credentials=credentials, platforms=platforms)
