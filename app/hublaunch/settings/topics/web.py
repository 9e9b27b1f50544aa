"""Under which addresses the service is reached, by whom, and how much it takes at once."""

from pydantic import BaseModel, Field

from hublaunch.settings.types import Ancestors, BaseUrl, Hosts, Networks, Origins, UrlPrefix


class WebSettings(BaseModel):
    """Addresses and connections: docs/limits.md, docs/other-origins.md."""

    prefix: UrlPrefix = Field(
        "", description="Path under which the service is served.", examples=["/services/hublaunch"]
    )
    public_url: BaseUrl | None = Field(
        None,
        description="URL of this service as browsers reach it. Needed only where its host is a subdomain of the Hub's.",
        examples=["https://hublaunch--service.hub.example.org/services/hublaunch/"],
    )
    allowed_hosts: Hosts = Field(
        ("localhost", "127.0.0.1", "[::1]"),
        description="Host names, without port, under which callers may reach this service. Always allowed: the Hub's "
        "host, that host after services., and the host of LAUNCHER_PUBLIC_URL.",
    )
    trusted_proxies: Networks = Field(
        (),
        description="Addresses or networks (CIDR) of proxies whose X-Forwarded-For or Forwarded header is believed. "
        "Name only networks in which every machine is your proxy.",
        examples=["192.0.2.7"],
    )
    cors_origins: Origins = Field(
        (),
        description="Origins of other sites whose pages may use the API.",
        examples=["https://book.example.org"],
    )
    frame_ancestors: Ancestors = Field(
        (),
        description="Origins whose pages may embed this service's pages in a frame; self is its own origin. Empty "
        "allows none.",
        examples=["self,https://book.example.org"],
    )
    max_connections: int = Field(
        10_000,
        ge=16,
        description="Most connections at once; fewer if the process may not open that many files. Beyond it, each new "
        "connection closes the one that has been idle longest.",
    )
    max_streams_address: int = Field(
        1000,
        ge=1,
        description="Most event streams that one address (an IPv6 /64) may follow at once; further ones get 429.",
    )
    send_timeout: float = Field(
        30,
        gt=0,
        description="Seconds after which a client that reads nothing of its response is disconnected. Pages reconnect "
        "by themselves.",
    )
    drain_s: float = Field(10, ge=2, description="Seconds within which the process ends after SIGTERM.")
