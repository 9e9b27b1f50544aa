"""Settings of the connection to the Hub."""

from pydantic import Field, FilePath, SecretStr

from hublaunch.settings.topics import Topic
from hublaunch.settings.types import BaseUrl


class HubSettings(Topic):
    """The Hub: docs/hub-setup.md."""

    hub_url: BaseUrl = Field(examples=["https://hub.example.org/"])
    """URL of JupyterHub as browsers reach it. Without subdomains, the URL of every server starts with it."""
    hub_url_local: BaseUrl | None = Field(None, examples=["http://hub:8081/"])
    """URL for requests to the Hub's API, without hub/api; LAUNCHER_HUB_URL if not set."""
    hub_api_token: SecretStr = Field(min_length=8)
    """API token of this service at the Hub."""
    proxy_url: BaseUrl | None = Field(None, examples=["http://proxy-public/"])
    """URL of JupyterHub's proxy, used to check that a server answers; the server's own URL if not set."""
    hub_ca_file: FilePath | None = Field(None, examples=["/etc/hublaunch/ca.pem"])
    """CA certificates (PEM) that verify the Hub's certificate; those of the system if not set."""
    hub_cert_file: FilePath | None = Field(None, examples=["/etc/hublaunch/client.crt"])
    """Client certificate (PEM) for a Hub with internal_ssl."""
    hub_key_file: FilePath | None = Field(None, examples=["/etc/hublaunch/client.key"])
    """Private key (PEM) of the client certificate."""
