"""The Hub's REST API over `HubState`: operations, authorization and answers."""

import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

from tests.fakes.hub_faults import Operation
from tests.fakes.hub_model import Refusal, Spawn, User
from tests.fakes.hub_state import HubState
from tests.fakes.hub_tokens import Token, expand

_NAME = "([^/]+)"
_SERVER = f"users/{_NAME}/(?:server|servers/([^/]*))"
_OPERATIONS: dict[str, dict[str, Operation]] = {
    "": {"GET": "get_version"},
    "user": {"GET": "whoami"},
    "oauth2/token": {"POST": "exchange_code"},
    f"users/{_NAME}": {"POST": "create_user", "GET": "get_user", "DELETE": "delete_user"},
    _SERVER: {"POST": "start_server", "DELETE": "stop_server"},
    f"{_SERVER}/progress": {"GET": "progress"},
    f"users/{_NAME}/activity": {"POST": "note_activity"},
    f"users/{_NAME}/tokens": {"POST": "mint_token", "GET": "list_tokens"},
    f"users/{_NAME}/tokens/([^/]*)": {"DELETE": "revoke_token"},
}
_ROUTES = [(re.compile(path), operations) for path, operations in _OPERATIONS.items()]
_READS_USERS = ("read:users", "read:users:name", "read:servers", "read:users:groups", "read:users:activity")
_AUTHORIZATION = re.compile(r"(?:token|bearer)\s+(\S+)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Call:
    """A parsed request to the API."""

    operation: Operation
    username: str = ""
    name: str = ""
    """The name of the server, or the id of a token."""
    query: str
    body: bytes
    authorization: str


@dataclass(frozen=True, kw_only=True)
class Reply:
    status: int
    content: Any = None
    """The JSON body; None for an empty body."""
    page: str | None = None
    """An HTML body, instead of `content`."""
    headers: Mapping[str, str] = field(default_factory=dict)
    events: AsyncGenerator[bytes] | None = None
    """A progress stream, instead of `content`."""


def parse_call(method: str, path: str, *, query: str, body: bytes, authorization: str) -> Call:
    """Return the call for a raw path below `/hub/api/`. Like Tornado, it unquotes names after splitting the path."""
    for pattern, operations in _ROUTES:
        if found := pattern.fullmatch(path):
            parts = [unquote(part or "") for part in found.groups()]
            username, name = (*parts, "", "")[:2]
            return Call(
                operation=operations.get(method, "unknown"),
                username=username,
                name=name,
                query=query,
                body=body,
                authorization=authorization,
            )
    return Call(operation="unknown", query=query, body=body, authorization=authorization)


class HubApi:
    """Answers calls. A raised `Refusal` is an answer too."""

    def __init__(self, state: HubState) -> None:
        self._state = state

    async def answer(self, call: Call) -> Reply:
        if call.operation == "unknown":
            raise Refusal(404)
        handler: Callable[[Call], Awaitable[Reply]] = getattr(self, f"_{call.operation}")
        return await handler(call)

    # --- authorization ------------------------------------------------------------------------------------------------

    def _owner(self, call: Call) -> Token | str | None:
        """Return the user's token, the service's name, or None without a valid token."""
        found = _AUTHORIZATION.match(call.authorization)
        if found is None:
            return None
        return self._state.service if found[1] == self._state.api_token else self._state.tokens.find(found[1])

    def _held_scopes(self, owner: Token | str) -> list[str]:
        return owner.scopes if isinstance(owner, Token) else expand(self._state.scopes, self._state.version_info)

    def _require(self, call: Call, *any_of: str) -> None:
        """Raise a 403 unless the token has one of the scopes. Here, a user's own token has none of them."""
        owner = self._owner(call)
        if owner is None:
            raise Refusal(403, "Missing or invalid credentials.")
        if not set(any_of) & set(self._held_scopes(owner)):
            needed = ", ".join(any_of)
            raise Refusal(403, f"Action is not authorized with current scopes; requires any of [{needed}]")

    # --- operations ---------------------------------------------------------------------------------------------------

    async def _get_version(self, call: Call) -> Reply:
        return Reply(status=200, content={"version": self._state.version})

    async def _whoami(self, call: Call) -> Reply:
        owner = self._owner(call)
        if owner is None:
            raise Refusal(403)
        scopes = self._held_scopes(owner)
        identity = (
            {
                "kind": "user",
                "name": owner.username,
                "groups": self._state.groups.get(owner.username, []),
                "token_id": owner.id,
            }
            if isinstance(owner, Token)
            else {"kind": "service", "name": owner, "token_id": "a1"}
        )
        return Reply(status=200, content={**identity, "admin": False, "session_id": None, "scopes": scopes})

    async def _exchange_code(self, call: Call) -> Reply:
        """Exchange a login code (RFC 6749 §5). Its errors look different from those of the API."""
        form = dict(parse_qsl(call.body.decode()))
        if (form.get("client_id"), form.get("client_secret")) != (self._state.oauth_client_id, self._state.api_token):
            return Reply(status=401, content={"error": "invalid_client"})
        token = self._state.exchange_code(form)
        if token is None:
            return Reply(status=400, content={"error": "invalid_grant"})
        answer = {"access_token": token.token, "expires_in": self._state.oauth_token_expires_in, "token_type": "Bearer"}
        return Reply(status=200, content={**answer, "scope": " ".join(token.scopes)})

    async def _create_user(self, call: Call) -> Reply:
        self._require(call, "admin:users")
        _json_body(call)
        return Reply(status=201, content=self._user_json(self._state.create_user(call.username)))

    async def _get_user(self, call: Call) -> Reply:
        self._require(call, *_READS_USERS)
        stopped_too = re.search(r"(?:^|&)include_stopped_servers=(?!0|false)", call.query) is not None
        model = self._user_json(self._state.user(call.username), include_stopped_servers=stopped_too)
        if "read:users" not in expand(self._state.scopes, self._state.version_info):
            model = {key: model[key] for key in ("name", "kind", "admin", "servers")}
        return Reply(status=200, content=model)

    async def _delete_user(self, call: Call) -> Reply:
        self._require(call, "delete:users")
        await self._state.delete_user(call.username)
        return Reply(status=204)

    async def _start_server(self, call: Call) -> Reply:
        self._require(call, "start:servers" if self._state.version_info >= (6,) else "servers")
        self._state.user(call.username)
        body = _json_body(call) or {}
        user_options = body.get("user_options", body) if self._state.version_info >= (6,) else body
        return Reply(status=await self._state.start_server(call.username, call.name, user_options))

    async def _stop_server(self, call: Call) -> Reply:
        self._require(call, "delete:servers")
        if call.username not in self._state.users:
            raise Refusal(404 if self._state.version_info >= (5, 4, 5) else 500)
        remove = bool((_json_body(call) or {}).get("remove", False))
        return Reply(status=await self._state.stop_server(call.username, call.name, remove=remove))

    async def _note_activity(self, call: Call) -> Reply:
        self._require(call, "users:activity")
        self._state.user(call.username)
        self._state.note_activity(call.username, list((_json_body(call) or {}).get("servers", {})))
        return Reply(status=200)

    async def _mint_token(self, call: Call) -> Reply:
        owner = self._owner(call)
        if owner is None:
            raise Refusal(403)
        kind = "User" if isinstance(owner, Token) else "Service"
        if call.username not in self._state.users or "tokens" not in self._held_scopes(owner):
            raise Refusal(403, f"{kind} {call.username} not found or no permissions to generate tokens")
        token = self._state.mint_token(call.username, _json_body(call) or {}, by=f"service {owner}")
        return Reply(status=201, content={**token.as_json(), "token": token.token})

    async def _list_tokens(self, call: Call) -> Reply:
        self._require(call, "read:tokens")
        return Reply(status=200, content={"api_tokens": [t.as_json() for t in self._state.tokens_of(call.username)]})

    async def _revoke_token(self, call: Call) -> Reply:
        self._require(call, "tokens")
        self._state.revoke_token(call.username, call.name)
        return Reply(status=204)

    async def _progress(self, call: Call) -> Reply:
        self._require(call, "read:servers")
        server = self._state.user(call.username).servers.get(call.name)
        if server is None or not server.loaded:
            raise Refusal(404)
        if not (server.ready or server.spawn):
            raise Refusal(400, f"{server.log_name} is not starting...")
        spawn = server.spawn
        if spawn is None or spawn.has_ended():
            events = self._single_event(server.ready_event() if spawn is None else spawn.events[-1])
        else:
            events = self._events(spawn)
        return Reply(status=200, headers={"Cache-Control": "no-cache"}, events=events)

    # --- progress -----------------------------------------------------------------------------------------------------

    async def _single_event(self, event: Mapping[str, Any]) -> AsyncGenerator[bytes]:
        yield _chunk(event)

    async def _events(self, spawn: Spawn) -> AsyncGenerator[bytes]:
        """Yield the stream's chunks from the first event, independent of other readers."""
        yield b"\n\n"
        position = 0
        while True:
            if position < len(spawn.events):
                yield _chunk(spawn.events[position])
                position += 1
            elif spawn.has_ended():
                return
            else:
                await spawn.moved.wait()

    # --- bodies -------------------------------------------------------------------------------------------------------

    def _user_json(self, user: User, *, include_stopped_servers: bool = False) -> dict[str, Any]:
        return user.as_json(f"{self._state.base_url}hub/api/", include_stopped_servers=include_stopped_servers)


def _json_body(call: Call) -> Any:
    try:
        return json.loads(call.body) if call.body else None
    except ValueError:
        raise Refusal(400, "Invalid JSON in body of request") from None


def _chunk(event: Mapping[str, Any]) -> bytes:
    return b"data: %b\n\n" % json.dumps(event).encode()
