"""Settings of the service's addresses, its proxies and origins, and its connections."""

from pydantic import Field

from hublaunch.settings.topics import Topic
from hublaunch.settings.types import Ancestors, BaseUrl, Hosts, Networks, Origins, UrlPrefix


class WebSettings(Topic):
    """Addresses and connections: docs/limits.md, docs/other-origins.md."""

    prefix: UrlPrefix = Field("", examples=["/services/hublaunch"])
    """Path under which the service is served."""
    public_url: BaseUrl | None = Field(
        None, examples=["https://hublaunch--service.hub.example.org/services/hublaunch/"]
    )
    """URL of this service as browsers reach it. Needed only where its host is a subdomain of the Hub's."""
    allowed_hosts: Hosts = ("localhost", "127.0.0.1", "[::1]")
    """Host names, without port, under which callers may reach this service. Always allowed: the Hub's HOST,
    services.HOST, and the host of LAUNCHER_PUBLIC_URL.
    """
    trusted_proxies: Networks = Field((), examples=["192.0.2.7"])
    """Addresses or networks (CIDR) of proxies whose X-Forwarded-For or Forwarded header is believed. Name only networks
    in which every machine is your proxy.
    """
    cors_origins: Origins = Field((), examples=["https://book.example.org"])
    """Origins of other sites whose pages may use the API."""
    frame_ancestors: Ancestors = Field((), examples=["self,https://book.example.org"])
    """Origins whose pages may embed this service's pages in a frame; self is its own origin. Empty allows none."""
    max_connections: int = Field(10_000, ge=16)
    """Maximum number of concurrent connections; fewer if the process may not open that many files. Beyond it, each new
    connection closes the one that has been idle longest.
    """
    max_streams_address: int = Field(1000, ge=1)
    """Maximum number of concurrent event streams of one address (an IPv6 /64); others get 429."""
    send_timeout: float = Field(30, gt=0)
    """Seconds after which a client that reads nothing of its response is disconnected. Pages reconnect by themselves.
    """
    drain_s: float = Field(10, ge=2)
    """Seconds within which the process ends after SIGTERM."""
