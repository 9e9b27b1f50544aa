"""Where a URL leads: the scheme, the host and the port."""

from typing import NamedTuple, Self

import httpx

_PORTS = {"http": 80, "https": 443}
_PORT_MAX = 65_535


class Origin(NamedTuple):
    """The part of a URL that names a server. Requests to the same origin can share connections."""

    scheme: str
    host: str
    """A name in ASCII, or an address without brackets."""
    port: int

    @classmethod
    def of(cls, url: httpx.URL) -> Self:
        """Return the URL's origin.

        Raises UnsupportedProtocol unless it is `http://` or `https://` with a host and a port between 1 and 65535.
        """
        scheme, host = url.scheme, url.raw_host.decode()
        if scheme not in _PORTS or not host:
            raise httpx.UnsupportedProtocol("the URL must be http:// or https:// and name a host")
        port = _PORTS[scheme] if url.port is None else url.port
        if not 0 < port <= _PORT_MAX:
            raise httpx.UnsupportedProtocol("the port of the URL is not between 1 and 65535")
        return cls(scheme, host, port)
