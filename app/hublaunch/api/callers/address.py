"""The address that a request comes from, which callers cannot forge."""

import logging
import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.requests import Request

from hublaunch.api.warnings import Warnings
from hublaunch.launch.rules.networks import network

log = logging.getLogger(__name__)


class ClientAddress:
    """Finds the address of a request's client behind trusted proxies.

    `X-Forwarded-For` and `Forwarded` (RFC 7239) are read from the end, one hop further for each address that is a
    trusted proxy, so that callers cannot choose an address. Most proxies write one of the two headers and pass the
    other on as the client sent it. So if the two differ, neither is trusted.
    """

    def __init__(self, trusted_proxies: Sequence[IPv4Network | IPv6Network], *, unnamed: Callable[[str], None]) -> None:
        """`unnamed` is called with each private address that sends one of these headers and is not a trusted proxy."""
        self._trusted_proxies = trusted_proxies
        self._unnamed = unnamed
        self._warnings = Warnings(log)

    def __call__(self, request: Request) -> str:
        """Return the address, an IPv4-mapped IPv6 one as IPv4. A host that is no address is returned unchanged."""
        host = request.client.host if request.client else ""
        address = _address(host)
        if address is None:
            return host
        chains = _chains(request.scope["headers"])
        if not chains:
            return str(address)
        if not self._is_trusted(address):
            if not address.is_global:
                self._unnamed(str(address))
            return str(address)
        clients = {self._past_proxies(address, chain) for chain in chains}
        if len(clients) > 1:
            self._warnings.warn(
                "The headers X-Forwarded-For and Forwarded of requests from %s differ, so all their callers count as "
                "one address. Configure your proxy to remove the header that it does not write",
                address,
            )
            return str(address)
        return str(clients.pop())

    def _past_proxies(self, address: IPv4Address | IPv6Address, hops: list[str]) -> IPv4Address | IPv6Address:
        while hops and self._is_trusted(address):
            hop = _node(hops.pop())
            if hop is None:
                self._warnings.warn(
                    "%s forwards requests without their clients' addresses, so all its callers count as one. Configure "
                    "it to write addresses into X-Forwarded-For or Forwarded",
                    address,
                )
                break
            address = hop
        return address

    def _is_trusted(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self._trusted_proxies)


def is_within(host: str, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    """Return whether the host is an address in one of the networks."""
    address = _address(host)
    return address is not None and any(address in network for network in networks)


def place_of(host: str) -> str:
    """Return the address that a host counts as: the /64 of an IPv6 address; for IPv4 in IPv6, the IPv4 address."""
    address = _address(host)
    return network(host if address is None else str(address))


def _chains(headers: Iterable[tuple[bytes, bytes]]) -> list[list[str]]:
    """Return the hops in X-Forwarded-For and those in Forwarded, without empty lists; the nearest hop is last."""
    by_x_forwarded_for: list[str] = []
    by_forwarded: list[str] = []
    for name, line in headers:
        if name == b"x-forwarded-for":
            by_x_forwarded_for += map(str.strip, line.decode("latin-1").split(","))
        elif name == b"forwarded":
            by_forwarded += _hops(line.decode("latin-1"))
    return list(filter(None, (by_x_forwarded_for, by_forwarded)))


_PAIR = re.compile(r"""\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=("(?:[^"\\]|\\.)*"|[^\s;,"]+)\s*(;|,|$)""")


def _hops(line: str) -> list[str]:
    """Return the `for` of each hop in one line, `""` where it is missing (RFC 7239 §4).

    A line that is not a list of elements is one hop without an address.
    """
    hops, hop, at, end = [], "", 0, ","
    while at < len(line):
        if not (pair := _PAIR.match(line, at)):
            return [""]
        name, value, end = pair.groups()
        if name.lower() == "for":
            hop = value
        if end != ";":
            hops.append(hop)
            hop = ""
        at = pair.end()
    return [*hops, hop] if end == ";" else hops


_PORT = re.compile(r"[0-9]{1,5}|_[A-Za-z0-9._-]+")


def _node(text: str) -> IPv4Address | IPv6Address | None:
    """Return a hop's address. It may have a port, and brackets around IPv6 (RFC 7239 §6). Azure writes `IP:port`."""
    if text.startswith('"') and text.endswith('"') and len(text) > 1:
        text = text[1:-1]
    if text.startswith("["):
        host, bracket, port = text[1:].partition("]")
        if not bracket or (port and not port.startswith(":")):
            return None
        port = port.removeprefix(":")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    else:
        host, port = text, ""
    return _address(host) if not port or _PORT.fullmatch(port) else None


@lru_cache(maxsize=4096)
def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
