"""Every knob of hublaunch, with its unit and default. Nothing else reads the environment."""

import os
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import unquote, urlsplit

from pydantic import (
    Field,
    FilePath,
    ImportString,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from hublaunch.settings.types import (
    AS_WORDS,
    Ancestors,
    BaseUrl,
    Hosts,
    HttpUrl,
    Networks,
    Origins,
    Rate,
    Rates,
    TextByName,
    UrlPrefix,
    Weights,
    Words,
    WordsByName,
)
from hublaunch.settings.variables import meant_by, unknown_names

PREFIX = "LAUNCHER_"
ENV_FILE = ".env"

S = TypeVar("S", bound=BaseSettings)

BINDERHUB_EXTRA_ARGS = (
    "binder_ref_url",
    "binder_launch_host",
    "binder_request",
    "binder_persistent_request",
    "binder_client_ip",
)


class _HubServiceEnvironment(PydanticBaseSettingsSource):
    """What JupyterHub puts into the environment of its services; used where no `LAUNCHER_` variable says otherwise."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        return self().get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        given = {name: value for name, value in os.environ.items() if name.startswith("JUPYTERHUB_") and value}
        renamed = {
            "hub_api_token": given.get("JUPYTERHUB_API_TOKEN"),
            "prefix": given.get("JUPYTERHUB_SERVICE_PREFIX"),
            "service_name": given.get("JUPYTERHUB_SERVICE_NAME"),
            "public_url": given.get("JUPYTERHUB_PUBLIC_URL"),
            "oauth_client_id": given.get("JUPYTERHUB_CLIENT_ID"),
            "oauth_callback_url": given.get("JUPYTERHUB_OAUTH_CALLBACK_URL"),
            "allow_named_servers": given.get("JUPYTERHUB_ALLOW_NAMED_SERVERS"),
            "named_server_limit_per_user": given.get("JUPYTERHUB_NAMED_SERVER_LIMIT_PER_USER"),
            "hub_ca_file": given.get("JUPYTERHUB_SSL_CLIENT_CA"),
            "hub_cert_file": given.get("JUPYTERHUB_SSL_CERTFILE"),
            "hub_key_file": given.get("JUPYTERHUB_SSL_KEYFILE"),
        }
        if api_url := given.get("JUPYTERHUB_API_URL"):
            renamed["hub_url_local"] = api_url.rstrip("/").removesuffix("/hub/api")
        if public_url := given.get("JUPYTERHUB_PUBLIC_HUB_URL"):
            renamed["hub_url"] = public_url.rstrip("/").removesuffix("/hub")
        return {name: value for name, value in renamed.items() if value is not None}


class Settings(BaseSettings):
    """The settings of one hublaunch: from the environment, then `.env`, then what JupyterHub gives its services."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ENV_FILE,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    # --- the Hub ---
    hub_url: BaseUrl = Field(title="The URL under which browsers reach the Hub; the URL of every server begins with it")
    hub_url_local: BaseUrl | None = Field(None, title="The URL for calls to the Hub's API; the Hub URL if not given")
    hub_api_token: SecretStr = Field(min_length=8, title="The API token of this service at the Hub")
    proxy_url: BaseUrl | None = Field(
        None,
        title="The URL of JupyterHub's proxy, for asking a server whether it answers; the server's own URL if not "
        "given",
    )
    hub_ca_file: FilePath | None = Field(None, title="CA certificates (PEM) to check the Hub's certificate with")
    hub_cert_file: FilePath | None = Field(None, title="Client certificate (PEM) to show the Hub, for its internal_ssl")
    hub_key_file: FilePath | None = Field(None, title="Private key (PEM) of that certificate")

    # --- who may launch ---
    access: Annotated[tuple[Literal["anonymous", "hub", "key"], ...], NoDecode, AS_WORDS] = Field(
        ("anonymous",),
        min_length=1,
        title="Who may launch: anonymous (anybody, with temporary users), hub (Hub users, on their own accounts), key "
        "(backends, by API keys)",
    )
    api_keys_file: Path | None = Field(None, title="The API keys of backends, as `hublaunch keys add` keeps them")
    service_name: str = Field("hublaunch", min_length=1, title="The name of this service at the Hub")
    admins: Words = Field((), title="Hub users who see and cancel everybody's launches")
    oauth_client_id: str | None = Field(None, title="Its id as an OAuth client of the Hub; service-NAME if not given")
    oauth_callback_url: str | None = Field(
        None, title="Where the Hub sends browsers after their login; PREFIX/oauth_callback if not given"
    )

    # --- a launch ---
    create_user: bool = Field(default=True, title="Create a new Hub user for each launch (temporary users)")
    allow_named_servers: bool = Field(
        default=False, title="With existing users: give each launch a server name of its own"
    )
    named_server_limit_per_user: int = Field(0, ge=0, title="At most this many named servers a user; 0 is no limit")
    launch_timeout: float = Field(600, gt=0, title="Seconds from admission to ready, all attempts together")
    max_concurrent_spawns: int = Field(
        50, ge=1, title="Launches at the Hub at once, over all replicas; below the Hub's own concurrent_spawn_limit"
    )
    max_queue: int = Field(
        1000,
        ge=0,
        title="Launches that may wait for their turn. In a full queue the caller with the most launches makes room for "
        "a caller with fewer; other requests are answered 503",
    )
    max_wait_s: float = Field(3600, gt=0, title="Seconds for which a launch may wait for its turn")
    hub_guard: Literal["normal", "strict", "off"] = Field(
        "normal",
        title="How carefully images that are not proven are launched, as a Hub exits after too many failed spawns: "
        "normal; strict, so that it cannot happen; off, for a Hub with consecutive_failure_limit 0",
    )
    hub_failure_limit: int = Field(
        4,
        ge=1,
        title="Spawns that may fail in a row; one below the Hub's consecutive_failure_limit (z2jh: 5)",
    )
    caller_weights: Weights = Field(
        {},
        title="How many turns a caller gets for one of another's, as a JSON object from glob patterns such as hub:ada, "
        "key:course-* or anonymous:* to numbers above 0",
    )
    anonymous_quota: int = Field(
        500,
        ge=0,
        title="Launches that one address (an IPv6 /64) may have under way or ready without credentials; 0 is no "
        "limit. A rule of the limits file for an anonymous caller goes before it",
    )
    limits_file: Path | None = Field(
        None,
        title="A YAML or JSON file with limits on launches at once, by caller, repository and image, and in all; read "
        "again when it changes",
    )
    idempotency_ttl: float = Field(
        86400, ge=0, title="Seconds for which a request sent again with its Idempotency-Key gets the same launch"
    )
    retries: int = Field(4, ge=1, title="Attempts on a Hub API request, and on a launch, the first one counted")
    retry_delay: float = Field(4, ge=0, title="Seconds before the first repeat, doubled each time")
    pre_launch_hook: ImportString[Callable[..., Any]] | None = Field(
        None,
        title="Dotted path of a function (launcher, image, username, server_name, repo_url) that may refuse a launch",
    )
    allowed_images: Words = Field(
        (), title="Images that may be launched: glob patterns, as a JSON list or with commas; empty allows none"
    )
    group_allowed_images: WordsByName = Field(
        {}, title="Further patterns for the Hub users of a group, as a JSON object from groups to lists"
    )
    require_digest: bool = Field(default=False, title="Refuse images that are named without a digest")
    allowed_repos: Words = Field(
        (), title="Repositories that may be launched: glob patterns for host/path; empty allows any, and none"
    )
    banned_repos: Words = Field(
        (), title="Repositories that may not be launched, whatever allows them: glob patterns for host/path"
    )
    binder_images: TextByName = Field(
        {},
        title="Images for BinderHub's clients, as a JSON object from patterns of provider/spec to images; empty is off",
    )
    allowed_extra_args: Words = Field(
        BINDERHUB_EXTRA_ARGS, title="Keys that a request's extra_args may have; they reach the spawner as user_options"
    )

    # --- how often ---
    rate_limit_caller: Rate = Field(
        (600, 60),
        title="Launches that one Hub user or API key may ask for, as NUMBER/SECONDS: so many at once, and as many "
        "again in so many seconds; off for no limit",
    )
    rate_limit_address: Rate = Field(
        (1800, 60), title="Launches that may be asked for from one address, of IPv6 from one /64: NUMBER/SECONDS or off"
    )
    rate_limit_credentials: Rate = Field(
        (100, 60), title="Wrong API keys and Hub tokens that may come from one address: NUMBER/SECONDS or off"
    )
    rate_limits: Rates = Field(
        {},
        title="Launches of certain callers or addresses, as a JSON object from glob patterns such as key:course-* or "
        "address:192.0.2.* to NUMBER/SECONDS or off",
    )
    rate_limit_store: Literal["memory", "database", "off"] = Field(
        "memory",
        title="Where rate limits are counted: memory (each process for itself), database (over all replicas, and past "
        "a restart), or off (nowhere: no limits)",
    )

    # --- how the visitor gets in ---
    token_mode: Literal["hub", "user_options"] = Field(
        "hub", title="hub: a Hub token for that server alone; user_options: BinderHub's way, read by a spawner mixin"
    )
    token_lifetime_s: int = Field(86400, gt=0, title="Seconds that a visitor's token lives: the longest session")
    token_in_url: bool = Field(default=True, title="Whether open_url carries the token; off where servers forbid it")

    # --- the service ---
    database_url: str = Field(
        "sqlite:///hublaunch.sqlite",
        title="Where launches and their events are kept: sqlite:///FILE for one process, or postgresql+psycopg://… for "
        "several that share them",
    )
    min_free_space: int = Field(
        100,
        ge=0,
        title="MiB of disk space that must be left for a SQLite file, or no launch is accepted; 0 is no limit",
    )
    lease_s: float = Field(
        15, ge=1, title="Seconds after which launches of a process that is heard of no more are taken over by another"
    )
    cull_after_s: float = Field(
        3600, ge=0, title="Seconds for which a temporary user is kept after their server has stopped"
    )
    retention: float = Field(2592000, gt=0, title="Seconds for which a launch that has ended is kept (30 days)")
    drain_s: float = Field(10, ge=2, title="Seconds within which the process ends once it is told to")
    send_timeout: float = Field(
        30, gt=0, title="Seconds after which the connection of a client that takes nothing of its answer is broken"
    )
    max_connections: int = Field(
        10_000,
        ge=16,
        title="Connections at once; fewer where the system lets the process open fewer files. Beyond it the longest "
        "idle connection is closed for each new one",
    )
    max_streams_address: int = Field(
        1000,
        ge=1,
        title="Event streams that one address (an IPv6 /64) may follow at once; another one is answered 429",
    )
    secret_key: SecretStr | None = Field(
        None,
        min_length=32,
        title="Seals stored tokens and signs launch secrets; made beside a SQLite file (mode 0600) if not given",
    )
    old_secret_keys: Annotated[tuple[SecretStr, ...], NoDecode, AS_WORDS] = Field(
        (), title="Earlier secret keys: they open the launches and tokens of their time, and seal nothing new"
    )
    prefix: UrlPrefix = Field("", title="Path under which the API is served")
    allowed_hosts: Hosts = Field(
        ("localhost", "127.0.0.1", "[::1]"),
        title="Host names under which callers reach this service, without port. Also allowed: the Hub URL's host, the "
        "same host after services., and the host of LAUNCHER_PUBLIC_URL",
    )
    public_url: BaseUrl | None = Field(
        None, title="The URL under which browsers reach this service, where its host is a subdomain of the Hub's"
    )
    trusted_proxies: Networks = Field(
        (), title="Networks of proxies whose X-Forwarded-For or Forwarded is believed, as addresses or CIDR"
    )
    cors_origins: Origins = Field((), title="Origins of frontends elsewhere, such as https://book.example.org")
    frame_ancestors: Ancestors = Field(
        (), title="Origins whose pages may frame this service's, self is its own; none if empty"
    )
    metrics_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        title="Port of their own for the metrics, at /metrics; 0 takes a free one, none if not given",
    )
    metrics_host: str = Field("127.0.0.1", min_length=1, title="Address that the metrics' port listens on")
    metrics_public: bool = Field(default=False, title="Answer /metrics on the public port too, to anybody")
    traces_url: HttpUrl | None = Field(
        None,
        title="Where traces go, by OTLP over HTTP, such as http://collector:4318/v1/traces; needs hublaunch[otel]; "
        "none if not given",
    )
    audit_log: Path | None = Field(
        None,
        title="File to which is appended who launched, cancelled or changed what, an object of JSON a line; - is "
        "standard output; none if not given",
    )
    log_format: Literal["auto", "text", "json"] = Field(
        "auto", title="Lines of the log: text, json, or auto: text on a terminal and json elsewhere"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", title="The least severe lines to log")

    @field_validator("retention")
    @classmethod
    def _retention(cls, value: float, known: ValidationInfo) -> float:
        if value < known.data.get("idempotency_ttl", 0):
            raise ValueError("must not be shorter than LAUNCHER_IDEMPOTENCY_TTL, or a key would be forgotten too soon")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, dotenv_settings, _HubServiceEnvironment(settings_cls)

    @cached_property
    def hub_api_url(self) -> str:
        """The root of the Hub's REST API, ending in `/`."""
        return f"{self.hub_url_local or self.hub_url}hub/api/"

    @property
    def routed_prefix(self) -> str:
        """The prefix as ASGI gives paths: decoded. Everywhere else it is percent-encoded, as in URLs and cookies."""
        return unquote(self.prefix)

    @cached_property
    def oauth_client(self) -> str:
        """The id of this service as an OAuth client of the Hub."""
        return self.oauth_client_id or f"service-{self.service_name}"

    @cached_property
    def oauth_redirect_uri(self) -> str:
        """Where the Hub sends browsers after their login, as the Hub has it registered: mostly a path."""
        return self.oauth_callback_url or f"{self.prefix}/oauth_callback"

    @cached_property
    def known_hosts(self) -> frozenset[str]:
        """Host names, in lower case and without port, under which this service may be addressed."""
        hub = _host(self.hub_url)
        own = {_host(self.public_url)} if self.public_url else set()
        # JupyterHub before 5.0, and its `legacy` subdomain_hook since, has all services at one host.
        return frozenset({*map(str.lower, self.allowed_hosts), hub, f"services.{hub}", *own})


def _host(url: str) -> str:
    """The host of a URL in lower case, an IPv6 address in brackets as in the Host header."""
    host = urlsplit(url).hostname or ""
    return f"[{host}]" if ":" in host else host


class SettingsFault(Exception):
    """The settings do not allow a start. Each of `sentences` names a variable and what it must be."""

    def __init__(self, sentences: list[str]) -> None:
        super().__init__("\n".join(sentences))
        self.sentences = sentences


def load_settings() -> Settings:
    """Return the settings from the environment and `.env`; SettingsFault with a sentence for each fault.

    A variable that is a slip of a setting's name is a fault too: that setting would silently have its default.
    """
    slips = [
        f"{name} is not a setting. Did you mean {meant}?"
        for name in unknown_variables()
        if (meant := meant_by(name, _variables(), prefix=PREFIX))
    ]
    try:
        settings = _loaded(Settings)
    except SettingsFault as fault:
        raise SettingsFault([*slips, *fault.sentences]) from None
    if slips:
        raise SettingsFault(slips)
    return settings


def load_keys_settings() -> "KeysSettings":
    """Return the settings that `hublaunch keys` needs; SettingsFault."""
    return _loaded(KeysSettings)


def unknown_variables() -> list[str]:
    """Return the variables with our prefix that are no settings, without those that Kubernetes makes for Services.

    SettingsFault if `.env` cannot be read.
    """
    with _readable_env_file():
        written = DotEnvSettingsSource(Settings).env_vars
    given = {name.upper(): value or "" for name, value in {**written, **os.environ}.items()}
    return unknown_names(given, _variables(), prefix=PREFIX)


def _variables() -> list[str]:
    return [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]


def _loaded(kind: type[S]) -> S:
    try:
        with _readable_env_file():
            return kind()
    except ValidationError as error:
        raise SettingsFault([_sentence(fault) for fault in error.errors(include_input=False)]) from None
    except SettingsError as error:
        raise SettingsFault([str(error)]) from None


@contextmanager
def _readable_env_file() -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise SettingsFault([f"{ENV_FILE} cannot be read: {error.strerror}."]) from None
    except UnicodeDecodeError:
        raise SettingsFault([f"{ENV_FILE} is not UTF-8 text."]) from None


class KeysSettings(BaseSettings):
    """The settings of `hublaunch keys`, which works without the others."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=ENV_FILE, env_ignore_empty=True, extra="ignore")

    api_keys_file: Path | None = None
    audit_log: Path | None = None


_HINTS: Mapping[str, str] = {
    "hub_url": "set it to the URL under which browsers reach the Hub, such as https://hub.example.org/",
    "hub_api_token": "set it to the API token that the Hub knows for this service",
}


def _sentence(fault: Mapping[str, Any]) -> str:
    field = str(fault["loc"][0]) if fault["loc"] else ""
    if fault["type"] == "missing":
        return f"{PREFIX}{field.upper()} is not set: {_HINTS[field]}."
    reason = str(fault["msg"]).removeprefix("Value error, ").removeprefix("Input ").rstrip(".")
    return f"{PREFIX}{field.upper()}: {reason}."
