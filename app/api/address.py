"""The address that a request comes from: nobody can choose their own."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.requests import Request

from app.launch.networks import network


class ClientAddress:
    """Tells the address of a request's client, past the proxies that are trusted.

    `X-Forwarded-For` is read from its end, one hop further for each address that is a trusted proxy, so that nobody
    can name an address for themselves.
    """

    def __init__(self, trusted_proxies: Sequence[IPv4Network | IPv6Network], *, unnamed: Callable[[str], None]) -> None:
        """`unnamed` is called with each address from within that sends the header and is not trusted."""
        self._trusted_proxies = trusted_proxies
        self._unnamed = unnamed

    def __call__(self, request: Request) -> str:
        """The address, IPv4 in IPv6 as IPv4; what is no address as it came."""
        host = request.client.host if request.client else ""
        address = _address(host)
        hops = [hop.strip() for line in request.headers.getlist("X-Forwarded-For") for hop in line.split(",")]
        if hops and address is not None and not address.is_global and not self._is_trusted(address):
            self._unnamed(str(address))
        while hops and address is not None and self._is_trusted(address):
            hop = _address(hops.pop())
            if hop is None:
                break
            address = hop
        return host if address is None else str(address)

    def _is_trusted(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self._trusted_proxies)


def is_within(host: str, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    """Whether a host is an address in one of the networks."""
    address = _address(host)
    return address is not None and any(address in network for network in networks)


def place_of(host: str) -> str:
    """Return the address that a host counts as: of IPv6 the /64, and IPv4 in IPv6 as IPv4."""
    address = _address(host)
    return network(host if address is None else str(address))


@lru_cache(maxsize=4096)
def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
