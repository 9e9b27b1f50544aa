"""Callers by their addresses: what counts as one caller, and how much a whole IPv6 network counts.

An IPv4 address is one caller, and so is an IPv6 /64. Providers hand out a /56 or a /48, which has 256 or 65,536 of
those, so a wider network counts as a few callers at most, however many of its addresses are used.
"""

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address, ip_network

_CALLER_PREFIX = 64
_SHARES = {56: 2, 48: 4}
"""By the length of a prefix: as how many callers a network of that size counts at most."""
_OF_ADDRESSES = ("anonymous", "address")
"""The kinds of names that an address follows."""


@dataclass(frozen=True, slots=True)
class Group:
    """A caller, or a network of callers."""

    name: str
    share: int
    """As how many callers it counts at most."""


def network(address: str) -> str:
    """Return what counts as one caller: of an IPv6 address its /64, of any other text the text itself."""
    try:
        if isinstance(ip_address(address), IPv6Address):
            return str(ip_network((address, _CALLER_PREFIX), strict=False))
    except ValueError:
        pass  # a name in place of an address stands for itself
    return address


@lru_cache(maxsize=4096)
def caller_name(kind: str, key: str) -> str:
    """Return the name by which a caller is counted: `hub:ada`, `key:course`, `anonymous:192.0.2.7`."""
    return f"{kind}:{network(key) if kind == 'anonymous' else key}"


@lru_cache(maxsize=4096)
def groups_of(name: str) -> tuple[Group, ...]:
    """Return the groups of a caller, from the caller itself to the widest network: `anonymous:2001:db8::/48`."""
    kind, _, place = name.partition(":")
    groups = [Group(name, 1)]
    if kind in _OF_ADDRESSES and place.endswith(f"/{_CALLER_PREFIX}"):
        narrow = IPv6Network(place)
        for prefix, share in _SHARES.items():
            groups.append(Group(f"{kind}:{narrow.supernet(new_prefix=prefix)}", share))
    return tuple(groups)
