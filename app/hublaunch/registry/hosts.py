"""The hosts that may be asked, and their addresses: what keeps callers from sending this service anywhere they like."""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from hublaunch.launch.rules.glob import Glob
from hublaunch.launch.rules.image import ImageReference, registry_of

DOCKER_HUB = "docker.io"
_WILDCARD = re.compile(r"[*?]|\[(?![0-9a-fA-F]*:)")
"""The characters that make a registry a pattern: `*`, `?`, and a bracket that is not an IPv6 address's."""
_FIXED_END = re.compile(r"\.([^*?\[\]]+)")
"""The end of a pattern in which no wildcard is left, from its first dot."""
_COUNTRY = 2
_SECOND_LEVELS = frozenset({"ac", "co", "com", "edu", "go", "gob", "gouv", "gov", "govt", "ltd", "me", "mil", "ne"}) | {
    *("net", "nom", "or", "org", "plc", "sch", "web")
}
"""Names below a country's that are open to anybody, such as `ac.uk`. A stand-in for the public suffix list."""
_KNOWN_REALMS = {"scw.cloud": "api.scaleway.com"}
"""Registries' domains whose tokens come from a host of another domain. https://github.com/apple/container/issues/2268"""
_NAT64, _NAT64_OF_A_SITE = IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48")
"""Addresses that stand for IPv4 addresses: RFC 6052, section 2.1, and RFC 8215."""


class NamedHosts:
    """The registries that an operator's image patterns name.

    A pattern names a registry in full, or by a domain: `*.example.org/…`. A registry of `*` names none, and neither
    does `*.org` nor `quay.*`, as anybody can have such a host.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        registries = {registry_of(pattern) for pattern in patterns}
        self._in_full = {registry for registry in registries if not _WILDCARD.search(registry)}
        self._by_domain = [Glob(registry) for registry in registries if _names_a_domain(registry)]
        self._domains = {domain_of(host_of(registry)) for registry in self._in_full}

    def include(self, registry: str) -> bool:
        """Return whether a pattern names the registry, which has a port if it is not 443."""
        return registry in self._in_full or any(pattern.matches(registry) for pattern in self._by_domain)

    def may_be_private(self, host: str) -> bool:
        """Return whether the host may have a private address: a pattern names it, or a registry of its domain, in full.

        The domain counts, because a private registry's tokens often come from another host beside it.
        """
        return domain_of(host) in self._domains


@lru_cache(maxsize=16)
def named_hosts(patterns: tuple[str, ...]) -> NamedHosts:
    """Return the hosts of these patterns, computed once for each set of patterns."""
    return NamedHosts(patterns)


def _names_a_domain(registry: str) -> bool:
    """Return whether a registry with wildcards belongs to one registrable domain, whatever the wildcards stand for."""
    last = max((found.end() for found in re.finditer(r"[*?\]]", host_of(registry))), default=0)
    fixed = _FIXED_END.fullmatch(host_of(registry)[last:])
    return bool(_WILDCARD.search(registry)) and fixed is not None and domain_of(fixed[1]) == domain_of(f"x.{fixed[1]}")


def host_of(registry: str) -> str:
    """Return a registry's host without its port; an IPv6 address without its brackets."""
    if registry.startswith("["):
        return registry[1:].partition("]")[0]
    return registry.partition(":")[0]


def is_loopback(host: str) -> bool:
    """Return whether the name itself says that it is this machine."""
    address = literal(host)
    return host == "localhost" if address is None else address.is_loopback


def literal(host: str) -> IPv4Address | IPv6Address | None:
    """Return the address that the host is, or None if it is a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def domain_of(host: str) -> str:
    """Return the registrable domain of a host: `auth.docker.io` is in `docker.io`, and `a.b.ac.uk` in `b.ac.uk`.

    An address, and a name without a dot, is its own domain.
    """
    labels = host.lower().rstrip(".").split(".")
    if literal(host) is not None or len(labels) < 2:
        return host.lower()
    has_second_level = len(labels[-1]) == _COUNTRY and labels[-2] in _SECOND_LEVELS
    return ".".join(labels[-3:] if has_second_level else labels[-2:])


def may_issue_tokens(realm_host: str, registry_host: str) -> bool:
    """Return whether a registry may send this service to that host for a token."""
    domain = domain_of(registry_host)
    return domain_of(realm_host) == domain or _KNOWN_REALMS.get(domain) == realm_host.lower()


def is_public(address: str) -> bool:
    """Return whether anybody on the internet can reach the address, including as seen through NAT64 and 6to4."""
    found = _reached(address)
    return found.is_global and not found.is_multicast and found not in _NAT64_OF_A_SITE


def is_connectable(address: str, *, may_be_private: bool) -> bool:
    """Return whether the address may be connected to: never a link-local one, where clouds keep credentials."""
    if is_public(address):
        return True
    found = _reached(address)
    is_usable = not (found.is_link_local or found.is_multicast or found.is_unspecified)
    return may_be_private and is_usable


def _reached(address: str) -> IPv4Address | IPv6Address:
    """Return the address that is reached in the end: the IPv4 address if an IPv6 address stands for one."""
    found = ip_address(address.partition("%")[0])
    if not isinstance(found, IPv6Address):
        return found
    of_nat64 = IPv4Address(int(found) & 0xFFFFFFFF) if found in _NAT64 else None
    return found.ipv4_mapped or found.sixtofour or of_nat64 or found


def registry_name(image: ImageReference) -> str:
    """Return the host, with its port if any, that has the image's manifests."""
    return "registry-1.docker.io" if image.registry == DOCKER_HUB else image.registry
