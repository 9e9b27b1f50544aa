"""Where the Hub is, and how to connect to it."""

from pydantic import BaseModel, Field, FilePath, SecretStr

from hublaunch.settings.types import BaseUrl


class HubSettings(BaseModel):
    """The Hub: docs/hub-setup.md."""

    hub_url: BaseUrl = Field(
        description="URL of JupyterHub as browsers reach it. The URL of every server starts with it.",
        examples=["https://hub.example.org/"],
    )
    hub_url_local: BaseUrl | None = Field(
        None,
        description="URL for requests to the Hub's API, without hub/api; LAUNCHER_HUB_URL if not set.",
        examples=["http://hub:8081/"],
    )
    hub_api_token: SecretStr = Field(min_length=8, description="API token of this service at the Hub.")
    proxy_url: BaseUrl | None = Field(
        None,
        description="URL of JupyterHub's proxy, used to check that a server answers; the server's own URL if not set.",
        examples=["http://proxy-public/"],
    )
    hub_ca_file: FilePath | None = Field(
        None,
        description="CA certificates (PEM) that verify the Hub's certificate; those of the system if not set.",
        examples=["/etc/hublaunch/ca.pem"],
    )
    hub_cert_file: FilePath | None = Field(
        None,
        description="Client certificate (PEM) for a Hub with internal_ssl.",
        examples=["/etc/hublaunch/client.crt"],
    )
    hub_key_file: FilePath | None = Field(
        None, description="Private key (PEM) of the client certificate.", examples=["/etc/hublaunch/client.key"]
    )
