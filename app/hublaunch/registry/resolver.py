"""A resolver that returns only addresses that may be connected to, so that no name leads into the cluster."""

import socket
from collections.abc import Callable

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from hublaunch.registry.hosts import NamedHosts, is_connectable


class ForbiddenAddress(OSError):
    """The name leads to an address that may not be connected to."""


class GuardedResolver(AbstractResolver):
    """Resolves names as the system does, and checks every address.

    The transport connects to the returned addresses and looks up nothing again, so a name cannot change in between.
    """

    def __init__(self, named: Callable[[], NamedHosts], *, resolver: AbstractResolver | None = None) -> None:
        """`named` returns the hosts that are named now. `resolver` is the system's if not given."""
        self._named = named
        self._resolver = resolver or aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses; ForbiddenAddress if one of them is forbidden."""
        found = await self._resolver.resolve(host, port, family)
        may_be_private = self._named().may_be_private(host)
        if not all(is_connectable(one["host"], may_be_private=may_be_private) for one in found):
            raise ForbiddenAddress(f"{host} has an address that is not public")
        return found

    async def close(self) -> None:
        await self._resolver.close()
