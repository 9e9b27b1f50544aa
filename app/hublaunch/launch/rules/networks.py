"""Callers by address: which addresses count as one caller, and how many callers an IPv6 network counts as.

An IPv4 address is one caller, and so is an IPv6 /64. Providers assign customers a /56 or a /48, which contains 256 or
65,536 of those. So a wider network counts as a few callers at most, however many of its addresses are used.
"""

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address, ip_network

_CALLER_PREFIX = 64
_SHARES = {56: 2, 48: 4}
"""The most callers that a network counts as, by the length of its prefix."""
_OF_ADDRESSES = ("anonymous", "address")
"""The kinds of names that contain an address."""


@dataclass(frozen=True, slots=True)
class Group:
    """A caller, or a network of callers."""

    name: str
    share: int
    """The most callers that it counts as."""


def network(address: str) -> str:
    """Return the network that counts as one caller: an IPv6 address's /64, and any other text unchanged."""
    try:
        if isinstance(ip_address(address), IPv6Address):
            return str(ip_network((address, _CALLER_PREFIX), strict=False))
    except ValueError:
        pass  # a name instead of an address is kept
    return address


@lru_cache(maxsize=4096)
def caller_name(kind: str, key: str) -> str:
    """Return the name by which a caller is counted: `hub:ada`, `key:course`, `anonymous:192.0.2.7`."""
    return f"{kind}:{network(key) if kind == 'anonymous' else key}"


@lru_cache(maxsize=4096)
def groups_of(name: str) -> tuple[Group, ...]:
    """Return the caller and the networks around it, from the caller to the widest: `anonymous:2001:db8::/48`."""
    kind, _, place = name.partition(":")
    groups = [Group(name, 1)]
    if kind in _OF_ADDRESSES and place.endswith(f"/{_CALLER_PREFIX}"):
        narrow = IPv6Network(place)
        for prefix, share in _SHARES.items():
            groups.append(Group(f"{kind}:{narrow.supernet(new_prefix=prefix)}", share))
    return tuple(groups)
