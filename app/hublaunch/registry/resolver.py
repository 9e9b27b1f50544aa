"""A lookup that returns only addresses that may be connected to, so that no name leads into the cluster."""

from collections.abc import Callable, Sequence

from hublaunch.registry.hosts import NamedHosts, is_connectable
from hublaunch.wire.addresses import Resolve


class ForbiddenAddress(OSError):
    """The name leads to an address that may not be connected to."""


def guarded(named: Callable[[], NamedHosts], resolve: Resolve) -> Resolve:
    """Return a lookup that checks every address, and raises ForbiddenAddress if one of a name's addresses is forbidden.

    `named` returns the hosts that are named now. The transport connects to the returned addresses and looks up nothing
    again, so a name cannot change in between.
    """

    async def addresses(host: str) -> Sequence[str]:
        found = await resolve(host)
        may_be_private = named().may_be_private(host)
        if not all(is_connectable(address, may_be_private=may_be_private) for address in found):
            raise ForbiddenAddress(f"{host} has an address that is not public")
        return found

    return addresses
