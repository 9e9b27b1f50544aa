"""Every setting of hublaunch, and the values that follow from several of them."""

from functools import cached_property
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from hublaunch.settings.hub_environment import HubServiceEnvironment
from hublaunch.settings.topics import Topic
from hublaunch.settings.topics.access import AccessSettings
from hublaunch.settings.topics.database import DatabaseSettings
from hublaunch.settings.topics.hub import HubSettings
from hublaunch.settings.topics.images import ImageSettings
from hublaunch.settings.topics.launches import LaunchSettings
from hublaunch.settings.topics.limits import LimitSettings
from hublaunch.settings.topics.observing import ObservingSettings
from hublaunch.settings.topics.pool import PoolSettings
from hublaunch.settings.topics.preflight import PreflightSettings
from hublaunch.settings.topics.queue import QueueSettings
from hublaunch.settings.topics.site import SiteSettings
from hublaunch.settings.topics.web import WebSettings

PREFIX = "LAUNCHER_"
ENV_FILE = ".env"


class Settings(
    ObservingSettings,
    SiteSettings,
    WebSettings,
    DatabaseSettings,
    LimitSettings,
    PoolSettings,
    QueueSettings,
    LaunchSettings,
    PreflightSettings,
    ImageSettings,
    AccessSettings,
    HubSettings,
    BaseSettings,
):
    """The settings of one hublaunch: from the environment, then `.env`, then the variables of JupyterHub's services."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ENV_FILE,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, dotenv_settings, HubServiceEnvironment(settings_cls)

    @cached_property
    def hub_api_url(self) -> str:
        """The root of the Hub's REST API, ending in `/`."""
        return f"{self.hub_url_local or self.hub_url}hub/api/"

    @property
    def routed_prefix(self) -> str:
        """The prefix decoded, as ASGI gives paths. `prefix` itself is percent-encoded, as in URLs and cookies."""
        return unquote(self.prefix)

    @cached_property
    def oauth_client(self) -> str:
        """The OAuth client id of this service at the Hub."""
        return self.oauth_client_id or f"service-{self.service_name}"

    @cached_property
    def oauth_redirect_uri(self) -> str:
        """The URL, or more often the path, to which the Hub sends browsers after login."""
        return self.oauth_callback_url or f"{self.prefix}/oauth_callback"

    @cached_property
    def page_url(self) -> str:
        """The URL of this service's page as browsers reach it, ending in `/`: at the Hub's host unless set."""
        hub = urlsplit(self.hub_url)
        return self.public_url or f"{hub.scheme}://{hub.netloc}{self.prefix}/"

    @cached_property
    def known_hosts(self) -> frozenset[str]:
        """The host names, in lower case and without port, under which callers may reach this service."""
        hub = _host(self.hub_url)
        own = {_host(self.public_url)} if self.public_url else set()
        # JupyterHub before 5.0, and its `legacy` subdomain_hook since, has all services at one host.
        return frozenset({*map(str.lower, self.allowed_hosts), hub, f"services.{hub}", *own})


TOPICS = tuple(kind for kind in reversed(Settings.__bases__) if issubclass(kind, Topic))
"""The topics, in the order in which an operator meets them."""


class KeysSettings(BaseSettings):
    """The settings of `hublaunch keys`, which works without the others."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=ENV_FILE, env_ignore_empty=True, extra="ignore")

    api_keys_file: Path | None = None
    audit_log: Path | None = None


def _host(url: str) -> str:
    """Return the host of a URL in lower case, an IPv6 address in brackets as in the Host header."""
    host = urlsplit(url).hostname or ""
    return f"[{host}]" if ":" in host else host
