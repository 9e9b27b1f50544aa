"""The fake Hub's tokens and scopes: what a scope contains, and which scopes a user's token may have."""

import base64
import hashlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from tests.fakes.hub_model import Refusal, Version, now, stamp

_CONTAINS = {
    "admin:users": ["admin:auth_state", "users", "delete:users", "read:roles:users"],
    "users": ["read:users", "list:users", "users:activity"],
    "read:users": ["read:users:name", "read:users:groups", "read:users:activity"],
    "servers": ["start:servers", "read:servers", "delete:servers"],
    "read:servers": ["read:users:name"],
    "tokens": ["read:tokens"],
}
_SELF = ["users:activity", "read:users", "servers", "tokens", "access:servers"]


@dataclass(eq=False)
class Token:
    id: str
    token: str = field(repr=False)
    username: str
    scopes: list[str]
    note: str
    created: datetime
    expires_at: datetime | None

    @property
    def expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= now()

    def as_json(self) -> dict[str, Any]:
        return {
            "user": self.username,
            "id": self.id,
            "kind": "api_token",
            "scopes": self.scopes,
            "created": stamp(self.created),
            "expires_at": stamp(self.expires_at),
            "note": self.note,
        }


class Tokens:
    """The API tokens of all users, those of their servers included."""

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}
        self._last_number = 1

    def add(self, username: str, scopes: list[str], note: str, lasts_s: int | None) -> Token:
        self._last_number += 1
        created = now()
        token = Token(
            id=f"a{self._last_number}",
            token=secrets.token_hex(16),
            username=username,
            scopes=scopes,
            note=note,
            created=created,
            expires_at=None if lasts_s is None else created + timedelta(seconds=lasts_s),
        )
        self._tokens[token.token] = token
        return token

    def find(self, text: str) -> Token | None:
        token = self._tokens.get(text)
        return None if token is None or token.expired else token

    def of(self, username: str) -> list[Token]:
        return [token for token in self._tokens.values() if token.username == username and not token.expired]

    def remove(self, text: str) -> None:
        self._tokens.pop(text, None)

    def remove_all_of(self, username: str) -> None:
        self._tokens = {text: token for text, token in self._tokens.items() if token.username != username}


@dataclass(kw_only=True)
class Login:
    """A user's login for a service, kept until the service fetches the token."""

    username: str
    scopes: list[str]
    redirect_uri: str
    code_challenge: str


def challenge_of(code_verifier: str) -> str:
    """Return the code challenge of a verifier (RFC 7636 §4.2, method S256)."""
    return base64.urlsafe_b64encode(hashlib.sha256(code_verifier.encode()).digest()).rstrip(b"=").decode()


class TokenRequest(NamedTuple):
    scopes: list[str]
    note: str
    lasts_s: int | None


def checked_token_request(username: str, body: Mapping[str, Any], version: Version, most_s: int) -> TokenRequest:
    """Return the token that `POST users/N/tokens` requests. Refusal 400 if the Hub would not grant it."""
    lasts_s, most_s = body.get("expires_in"), most_s if version >= (5, 1) else 0
    if most_s and lasts_s is not None and lasts_s > most_s:
        raise Refusal(400, f"token expires_in: {lasts_s} must not exceed {most_s}")
    scopes = _token_scopes(username, body.get("scopes"), version)
    return TokenRequest(scopes, body.get("note") or "", lasts_s or most_s or None)


def expand(scopes: Iterable[str], version: Version) -> list[str]:
    """Return the scopes and all that they contain, sorted, as `GET /hub/api/user` lists them."""
    found: set[str] = set()
    waiting = list(scopes)
    while waiting:
        scope = waiting.pop()
        found.add(scope)
        waiting += _CONTAINS.get(scope, [])
    return sorted(found if version >= (6,) else found - {"start:servers"})


def _token_scopes(username: str, requested: Sequence[str] | None, version: Version) -> list[str]:
    """Return the scopes of a new token of this user. Refusal 400 if it requests more than the user has."""
    own = f"user={username}"
    granted = {f"read:users:name!{own}", f"read:users:groups!{own}"}
    for scope in ["self"] if requested is None else requested:
        granted.update(_granted(username, scope, version))
    return sorted(granted)


def _granted(username: str, scope: str, version: Version) -> Sequence[str]:
    if scope in ("self", "inherit"):
        return [f"{held}!user={username}" for held in expand(_SELF, version)]
    if scope == "access:servers!server":
        return []  # means the server that sends the request, and here no server does
    if scope in ("access:servers!user", f"access:servers!user={username}"):
        return [f"access:servers!user={username}"]
    if scope.startswith(f"access:servers!server={username}/"):
        return [scope]
    if scope.partition("!")[0] in {"access:servers", *_CONTAINS, *(s for held in _CONTAINS.values() for s in held)}:
        raise Refusal(400, f"Not assigning requested scopes {scope} not held by User {username}")
    if version < (5,):
        raise Refusal(500)
    raise Refusal(400, f"\"Scope '{scope}' for token does not exist\"")
