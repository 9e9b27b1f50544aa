"""The Hub port: the core's requests to JupyterHub, in JupyterHub's words."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Any, Literal, Protocol

from hublaunch.launch.model import Attempt
from hublaunch.launch.rules.raw_event import RawEvent


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """A server in the Hub's user model."""

    name: str
    ready: bool
    pending: Literal["spawn", "stop", "check"] | None
    url: str
    """The root at which browsers reach it: absolute, ending in `/`, without a query."""
    started_at: datetime | None = None
    """The time of its start, by the Hub's clock; None while the server is not running."""
    user_options: Mapping[str, Any] | None = field(default=None, repr=False)
    """The options that it was started with, if the Hub shows them; they may hold a token."""

    def belongs_to(self, attempt: Attempt) -> bool:
        """Return whether the attempt made this server ready. Its user may have started another one since."""
        return attempt.server_started_at is None or self.started_at in (None, attempt.server_started_at)


@dataclass(frozen=True, kw_only=True, slots=True)
class User:
    """The Hub's user model, as far as a launch needs it."""

    name: str
    servers: Mapping[str, Server]
    """The user's servers by name; only active ones, unless stopped ones were asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """One event of the Hub's progress stream."""

    message: str
    progress: int | None = None
    """0 to 100; None if the spawner gave none."""
    ready: bool = False
    """Whether the Hub calls the server ready. A cancelled spawn announces that too, so ask the server itself."""
    failed: bool = False
    url: str | None = None
    """With `ready`: as in `Server.url`; None if the Hub's URL is not the server's root."""
    raw_event: RawEvent | None = None
    """KubeSpawner's event of Kubernetes."""
    hub_event: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)
    """The event as the Hub sent it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Token:
    """A Hub API token made for a visitor."""

    token: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """The owner of a Hub token, and the token's scopes."""

    kind: Literal["user", "service"]
    name: str
    scopes: frozenset[str]
    """Expanded: with every scope that each of them includes."""
    groups: frozenset[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class LoginToken:
    """The OAuth token that the Hub issues for a browser logged in there."""

    token: str = field(repr=False)
    expires_in_s: int


class Reach(Enum):
    """The meaning of an answer at a server's address."""

    ANSWERS = auto()
    """The server itself answers."""
    ABSENT = auto()
    """The Hub or its proxy answers, or nothing in time: the proxy has no route to the server, or not yet."""
    FOREIGN = auto()
    """A web server other than the Hub's proxy answers: the address leads elsewhere."""
    UNKNOWN = auto()
    """Nothing shows whether the server answers: the address cannot be reached from here, or the server is not a
    Jupyter server. There is only the Hub's word."""


@dataclass(frozen=True, slots=True)
class Reached:
    """The result of asking a server itself."""

    reach: Reach
    status: int | None = None
    """The HTTP status; None without an answer."""


@dataclass(frozen=True, slots=True)
class ServerAnswer:
    """A server's answer to a request with the visitor's token."""

    status: int
    content: bytes = field(repr=False)
    """The body; empty if it is longer than 16 KiB."""


class Hub(Protocol):
    """JupyterHub's REST API.

    Every call may raise HubUnavailable (after the retries that are safe), HubForbidden (403) or HubRefused (another
    4xx). A call that creates something checks whether it exists before it retries, so nothing is created twice. After a
    cancelled call it is unknown whether the Hub acted. A call that changes something raises LeaseLost, and changes
    nothing, once this process may have lost its launches.
    """

    async def create_user(self, username: str) -> None:
        """`POST /users/{name}`, scope `admin:users`. Raises UserExists if the user existed before the first try."""

    async def get_user(self, username: str, *, include_stopped_servers: bool = False) -> User | None:
        """`GET /users/{name}`, scope `read:users`, part of `admin:users`. None if there is no such user."""

    async def delete_user(self, username: str) -> bool:
        """`DELETE /users/{name}`, scope `admin:users`. Stop every server first.

        Return True once the user is gone or if there was none, False if the Hub cannot delete it yet (a server is
        pending or active).
        """

    async def start_server(self, username: str, server_name: str, user_options: Mapping[str, Any]) -> None:
        """`POST /users/{name}/servers/{server_name}`, scope `servers`. Return once the Hub has agreed to spawn.

        A stock Hub answers only when the server is ready, or after 10 s, so follow `progress` at the same time. After
        an unclear answer, a spawn that is pending or ready counts as success. Raises HubBusy on 429. Raises
        HubUnavailable if the Hub answers 5xx or not at all, and neither a server nor a failed spawn is found.
        """

    async def stop_server(self, username: str, server_name: str, *, remove: bool = False) -> bool:
        """`DELETE /users/{name}/servers/{server_name}`, scope `servers`; safe to repeat; interrupts a spawn.

        `remove` also deletes the record of a named server, and is ignored for the default one. Return True once the
        server is stopped or if there was none, False while it is stopping, or while a Hub before 5.1 must first finish
        the spawn.
        """

    async def note_activity(self, username: str, server_name: str) -> None:
        """`POST /users/{name}/activity`, scope `users:activity`, part of `admin:users`: the server is in use now.

        Nothing happens if the Hub has no such user. A server that the Hub does not have is ignored.
        """

    def progress(self, username: str, server_name: str) -> AsyncGenerator[Progress]:
        """`GET …/progress`, scope `servers`: yield the spawn's events from the first to `ready` or `failed`.

        Raises NotStarting if there is no spawn. Raises HubUnavailable if the stream breaks. A stream that ends without
        a result says nothing about the spawn. Close it (`aclosing`) to free the connection.
        """

    async def mint_token(self, username: str, *, scope: str, note: str, expires_in_s: int) -> Token:
        """`POST /users/{name}/tokens`, scope `tokens`. Raises TokenRefused if the token lacks `scope`.

        After an unclear answer, a token with this note is revoked before another is made.
        """

    async def revoke_tokens(self, username: str, *, note: str) -> None:
        """Revoke every token of the user that carries this note. `GET` and `DELETE /users/{name}/tokens`."""

    async def reach_server(self, username: str, server_name: str, url: str) -> Reached:
        """Ask the server itself through the proxy, without a token: `GET {url}api`, where `url` is `Server.url`."""

    async def read_server(
        self, username: str, server_name: str, url: str, path: str, *, token: str
    ) -> ServerAnswer | None:
        """Ask the server itself through the proxy with the visitor's token: `GET {url}{path}`.

        None if no answer from the server comes in time, or if the server cannot be reached from here. `path` is
        percent-encoded.
        """
