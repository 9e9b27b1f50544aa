"""Where a URL leads: the scheme, the host and the port."""

from typing import NamedTuple, Self

import httpx

_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """The part of a URL that names a server. Requests to the same origin can share connections."""

    scheme: str
    host: str
    """A name in ASCII, or an address without brackets."""
    port: int

    @classmethod
    def of(cls, url: httpx.URL) -> Self:
        """Return the URL's origin. Raises UnsupportedProtocol unless it is `http://` or `https://` with a host."""
        scheme, host = url.scheme, url.raw_host.decode()
        if scheme not in _PORTS or not host:
            raise httpx.UnsupportedProtocol("the URL must be http:// or https:// and name a host")
        return cls(scheme, host, url.port or _PORTS[scheme])
