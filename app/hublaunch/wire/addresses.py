"""The addresses of hosts."""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain, zip_longest

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""Returns the IP addresses of a host's name, the best first. Raises OSError, or UnicodeError for an invalid name."""

KEPT_S = 10.0
"""How long the addresses of a name are remembered."""


async def system_addresses(host: str) -> Sequence[str]:
    """Return the addresses that the system's resolver gives. Errors as in `Resolve`."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]


class Addresses:
    """Looks up hosts. Requests that need a name at the same time share one lookup."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._lookups: dict[str, asyncio.Task[Sequence[str]]] = {}

    async def of(self, host: str) -> Sequence[str]:
        """Return the host's addresses, IPv6 and IPv4 by turns (RFC 8305, section 4). Errors as in `Resolve`.

        If the host is an address itself, nothing is looked up.
        """
        if _is_address(host):
            return [host]
        lookup = self._lookups.get(host)
        if lookup is None:
            lookup = self._lookups[host] = asyncio.create_task(self._look_up(host))
            lookup.add_done_callback(lambda done: self._forget(host, done))
        return await asyncio.shield(lookup)  # a request that gives up must not end the lookup of the others

    async def _look_up(self, host: str) -> Sequence[str]:
        found = await self._resolve(host)
        if not found:
            raise OSError("the name has no address")
        return _by_turns(list(dict.fromkeys(found)))

    def _forget(self, host: str, lookup: asyncio.Task[Sequence[str]]) -> None:
        """Forget a failure immediately, and addresses after KEPT_S."""
        if lookup.cancelled() or lookup.exception() is not None:
            del self._lookups[host]
        else:
            lookup.get_loop().call_later(KEPT_S, self._lookups.pop, host)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _by_turns(addresses: Sequence[str]) -> list[str]:
    is_v6 = ":" in addresses[0]
    first = [address for address in addresses if (":" in address) == is_v6]
    second = [address for address in addresses if (":" in address) != is_v6]
    return [address for address in chain.from_iterable(zip_longest(first, second)) if address is not None]
