"""The Hub's JSON as it arrives. Unknown fields are ignored.

https://jupyterhub.readthedocs.io/en/stable/reference/rest-api.html
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ValidationError

from hublaunch.launch.errors import HubUnavailable
from hublaunch.launch.ports import Identity, Server, User
from hublaunch.launch.rules.messages import clean

M = TypeVar("M", bound=BaseModel)

_START_MARK = re.compile(r'urlArgs: "v=(\d+)"')


def parse(model: type[M], content: bytes, operation: str) -> M:
    """Return the content of an answer as a model. Raises HubUnavailable if it does not fit."""
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        raise HubUnavailable(operation, "its answer is not what JupyterHub would answer") from error


def _utc(at: datetime) -> datetime:
    """Return the time in UTC. The Hub's times are UTC even without an offset."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


class _ServerModel(BaseModel):
    ready: bool
    pending: Literal["spawn", "stop", "check"] | None = None
    url: str | None = None
    started: AwareDatetime | None = None
    user_options: dict[str, Any] | None = None


class UserModel(BaseModel):
    """`GET /users/{name}`."""

    name: str
    servers: dict[str, _ServerModel] = {}
    created: AwareDatetime | datetime | None = None
    """Only with the scope `read:users`."""

    @property
    def created_at_utc(self) -> datetime | None:
        """The creation time; None if the Hub does not show it."""
        return None if self.created is None else _utc(self.created)

    def user(self, url_of: Callable[[str], str]) -> User:
        """Return the core's model. `url_of` turns the Hub's `url` of a server into the URL for browsers."""
        return User(
            name=self.name,
            servers={
                name: Server(
                    name=name,
                    ready=server.ready,
                    pending=server.pending,
                    url=url_of(server.url or ""),
                    started_at=server.started,
                    user_options=server.user_options,
                )
                for name, server in self.servers.items()
            },
        )


class TokenModel(BaseModel):
    """`POST /users/{name}/tokens`."""

    token: str
    scopes: list[str] = []
    expires_at: AwareDatetime | datetime

    @property
    def expires_at_utc(self) -> datetime:
        return _utc(self.expires_at)


class _ListedToken(BaseModel):
    id: str
    note: str | None = None


class TokenList(BaseModel):
    """`GET /users/{name}/tokens`."""

    api_tokens: list[_ListedToken] = []


class VersionModel(BaseModel):
    """`GET /`."""

    version: str


class SelfModel(BaseModel):
    """`GET /user`: the owner of the token. Its scopes are expanded: `servers` comes with `read:servers`."""

    kind: Literal["user", "service"]
    name: str
    scopes: list[str] = []
    groups: list[str] = []

    def identity(self) -> Identity:
        return Identity(kind=self.kind, name=self.name, scopes=frozenset(self.scopes), groups=frozenset(self.groups))


class OAuthTokenModel(BaseModel):
    """`POST /oauth2/token` (RFC 6749 §5.1)."""

    access_token: str
    expires_in: int


class _ErrorModel(BaseModel):
    status: int
    message: str | None = None


def hub_reason(content: bytes) -> str | None:
    """Return the Hub's reason for an error, `""` if it gives none; None if the Hub did not write this answer.

    A proxy or an ingress in front of the Hub answers HTML.
    """
    try:
        return clean(_ErrorModel.model_validate_json(content).message or "")
    except ValidationError:
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class HubInfo:
    """The Hub's version and start, and the scopes of this service's token."""

    version: str
    scopes: frozenset[str]
    answered_in_s: float
    """The response time of the first request."""
    clock_ahead_s: float | None
    """How far the Hub's clock is ahead of this machine's; None if its answer has no date."""
    start_mark: str | None
    """Changes with each start of the Hub; None if its pages do not show one."""


def start_mark(page: str) -> str | None:
    """Return the part of a Hub page that changes with each start; None if its templates omit it."""
    found = _START_MARK.search(page)
    return found[1] if found else None
