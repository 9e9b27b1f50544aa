"""The Hub's JSON as it arrives; unknown fields are ignored.

https://jupyterhub.readthedocs.io/en/stable/reference/rest-api.html
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ValidationError

from hublaunch.launch.ports import Identity, Server, User
from hublaunch.launch.rules.messages import clean

_START_MARK = re.compile(r'urlArgs: "v=(\d+)"')


def _utc(at: datetime) -> datetime:
    """The Hub's times are UTC, whether or not they say so."""
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
    """Shown for the scope `read:users`."""

    @property
    def created_at_utc(self) -> datetime | None:
        """When the user was created; None if the Hub does not show it."""
        return None if self.created is None else _utc(self.created)

    def user(self, url_of: Callable[[str], str]) -> User:
        """`url_of` turns the Hub's `url` of a server into the one that browsers use."""
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
        """When it expires."""
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
    """`GET /user`: who the token belongs to. Its scopes are expanded: `servers` has `read:servers` beside it."""

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
    """What the Hub itself says of an error, `""` if it gives no reason; None if this is no answer of the Hub's.

    A proxy or an ingress before the Hub answers HTML.
    """
    try:
        return clean(_ErrorModel.model_validate_json(content).message or "")
    except ValidationError:
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class HubInfo:
    """What the Hub says of itself and of this service's token."""

    version: str
    scopes: frozenset[str]
    answered_in_s: float
    """The time from the first question to its answer."""
    start_mark: str | None
    """Changes with each start of the Hub; None if its pages do not tell."""


def start_mark(page: str) -> str | None:
    """What a page of the Hub has in it that changes with each start; None if its templates leave that out."""
    found = _START_MARK.search(page)
    return found[1] if found else None
