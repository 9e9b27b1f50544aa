"""Whose request this is, and whether it may see what only the launch's owner sees."""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

from starlette.requests import Request

from app.launch.model import Caller


class LaunchSecrets:
    """The secret of each launch: an HMAC of its id under the service's key, so it is stored nowhere."""

    def __init__(self, secret_key: str) -> None:
        self._key = secret_key.encode()

    def of(self, launch_id: str) -> str:
        """The secret, 43 characters that may stand in a URL."""
        digest = hmac.digest(self._key, b"launch:" + launch_id.encode(), hashlib.sha256)
        return urlsafe_b64encode(digest).rstrip(b"=").decode()

    def opens(self, launch_id: str, secret: str | None) -> bool:
        """Whether this is the launch's secret; compared in constant time."""
        return secret is not None and hmac.compare_digest(self.of(launch_id).encode(), secret.encode())


def anonymous_caller(request: Request, trusted_proxies: Sequence[IPv4Network | IPv6Network]) -> Caller:
    """A caller known by address only.

    `X-Forwarded-For` is read from its end, one hop further for each address that is a trusted proxy, so that nobody
    can name an address for themselves.
    """
    address = request.client.host if request.client else ""
    hops = [hop.strip() for line in request.headers.getlist("X-Forwarded-For") for hop in line.split(",")]
    while hops and _is_in(address, trusted_proxies) and _is_address(hops[-1]):
        address = hops.pop()
    return Caller(kind="anonymous", key=address)


def _is_in(address: str, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    return _is_address(address) and any(ip_address(address) in network for network in networks)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
