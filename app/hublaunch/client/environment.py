"""The proxy and certificates that the environment names: `HTTPS_PROXY`, `NO_PROXY`, `SSL_CERT_FILE` and so on.

httpx reads these variables too, but rejects `NO_PROXY=fd00::/8` as a broken URL, and its errors name no variable.
"""

import importlib.util
import os
import ssl
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")


@dataclass(frozen=True, slots=True)
class Way:
    """How requests reach one service."""

    proxy: str | None = field(repr=False)
    """The proxy's URL, which may contain credentials; None for a direct connection."""
    proxy_variable: str
    """The variable that names the proxy; `""` without a proxy."""
    tls: ssl.SSLContext


def way_to(url: str) -> Way:
    """Return the way to the service at `url`. Raises a ValueError that names a variable that cannot be used.

    A loopback address is reached directly: a proxy would look for it on another machine.
    """
    parts = urlsplit(url)
    proxies = getproxies()
    kind = next((each for each in (parts.scheme, "all") if proxies.get(each)), None)
    if kind is None or _is_direct(parts.hostname or ""):
        return Way(None, "", _tls(parts.scheme))
    variable = next((name for name in os.environ if name.lower() == f"{kind}_proxy"), f"{kind.upper()}_PROXY")
    proxy = proxies[kind] if "://" in proxies[kind] else f"http://{proxies[kind]}"
    return Way(proxy, variable, _tls(parts.scheme, _proxy_scheme(proxy, variable)))


def _is_direct(host: str) -> bool:
    """Return whether `host` is this machine or in `NO_PROXY`, as a name, domain, address or network."""
    if host == "localhost" or proxy_bypass(host):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    named = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    return address.is_loopback or any(_holds(each.strip(), address) for each in named.split(","))


def _holds(network: str, address: IPv4Address | IPv6Address) -> bool:
    try:
        return address in ip_network(network.strip("[]"), strict=False)
    except ValueError:
        return False


def _proxy_scheme(url: str, variable: str) -> str:
    try:
        httpx.URL(url)
        scheme = urlsplit(url).scheme
    except (httpx.InvalidURL, ValueError):
        scheme = ""
    if scheme not in _PROXY_SCHEMES:
        raise ValueError(f"{variable} must be the URL of an http, https or socks5 proxy. Correct or unset it.")
    if scheme.startswith("socks") and importlib.util.find_spec("socksio") is None:
        raise ValueError(
            f"{variable} names a SOCKS proxy, which needs `pip install 'httpx[socks]'`. Install that, unset the "
            "variable, or name the service's host in NO_PROXY."
        )
    return scheme


def _tls(*schemes: str) -> ssl.SSLContext:
    """Return the trusted certificates; none unless one of the schemes is https."""
    if "https" not in schemes:
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        variable = "SSL_CERT_FILE" if os.environ.get("SSL_CERT_FILE") else "SSL_CERT_DIR"
        reason = "it has no certificates in PEM form" if isinstance(error, ssl.SSLError) else error.strerror
        raise ValueError(f"{variable} cannot be used: {reason}. Correct or unset it.") from None
