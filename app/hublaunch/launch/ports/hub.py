"""What the core asks of JupyterHub, in its own words."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Any, Literal, Protocol

from hublaunch.launch.model import Attempt


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """A server in the Hub's user model."""

    name: str
    ready: bool
    pending: Literal["spawn", "stop", "check"] | None
    url: str
    """The root under which browsers reach it: absolute, ending in `/`, without a query."""
    started_at: datetime | None = None
    """By the Hub's clock; None while it is not running."""
    user_options: Mapping[str, Any] | None = field(default=None, repr=False)
    """What it was started with, where the Hub shows it; may hold a token."""

    def is_the_one_of(self, attempt: Attempt) -> bool:
        """Whether it is the server that this attempt made ready, and not one that its user has started since."""
        return attempt.server_started_at is None or self.started_at in (None, attempt.server_started_at)


@dataclass(frozen=True, kw_only=True, slots=True)
class User:
    """The Hub's user model, as far as a launch needs it."""

    name: str
    servers: Mapping[str, Server]
    """By server name; active ones only, unless stopped ones were asked for too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """One event of the Hub's progress stream."""

    message: str
    progress: int | None = None
    """0 to 100; None where the spawner gave none."""
    ready: bool = False
    """The Hub's word for it; a spawn that was cancelled announces it too, so ask the server itself."""
    failed: bool = False
    url: str | None = None
    """With `ready`: as in `Server.url`; None if the Hub's is not the server's root."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Token:
    """A Hub API token that was minted for a visitor."""

    token: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """Whom a Hub token belongs to, and what it may do."""

    kind: Literal["user", "service"]
    name: str
    scopes: frozenset[str]
    """Expanded: with all that each of them contains."""
    groups: frozenset[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class LoginToken:
    """What the Hub gives for a browser that has logged in there."""

    token: str = field(repr=False)
    expires_in_s: int


class Reach(Enum):
    """The meaning of the answer at a server's address."""

    ANSWERS = auto()
    """The server itself has answered."""
    ABSENT = auto()
    """The Hub or its proxy has answered, or nothing in time: the proxy has no way to the server, or not yet."""
    FOREIGN = auto()
    """A web server that is not the Hub's proxy has answered: the address leads elsewhere."""
    UNKNOWN = auto()
    """Nothing shows whether it is the server, as the address cannot be reached from here, or as the server is not a
    Jupyter server. The Hub's word is all there is."""


@dataclass(frozen=True, slots=True)
class Reached:
    """The result of asking a server itself."""

    reach: Reach
    status: int | None = None
    """Of the HTTP answer; None without an answer."""


class Hub(Protocol):
    """JupyterHub, in its own words.

    Every call may raise HubUnavailable (after the retries that are safe), HubForbidden (403) and HubRefused (another
    4xx). Calls that create look at what is there before they ask a second time, so none creates twice. A cancelled
    call leaves open whether the Hub acted. Nothing is changed at the Hub once this process may have lost its launches:
    LeaseLost.
    """

    async def create_user(self, username: str) -> None:
        """`POST /users/{name}`, scope `admin:users`. UserExists if the name was taken before the first try."""

    async def get_user(self, username: str, *, include_stopped_servers: bool = False) -> User | None:
        """`GET /users/{name}`, scope `read:users`, part of `admin:users`. None if there is no such user."""

    async def delete_user(self, username: str) -> bool:
        """`DELETE /users/{name}`, scope `admin:users`. Stop every server first.

        True once the user is gone, or was not there; False if the Hub cannot yet (a server pending or active).
        """

    async def start_server(self, username: str, server_name: str, user_options: Mapping[str, Any]) -> None:
        """`POST /users/{name}/servers/{server_name}`, scope `servers`. Returns once the Hub has agreed to spawn.

        A stock Hub answers only when the server is ready or after 10 s: follow `progress` meanwhile. A spawn that is
        already pending or ready after an unclear answer is success. HubBusy on 429. HubUnavailable if the Hub answers
        5xx or not at all, and neither a server nor the failure of one can be found.
        """

    async def stop_server(self, username: str, server_name: str, *, remove: bool = False) -> bool:
        """`DELETE /users/{name}/servers/{server_name}`, scope `servers`; safe to repeat; interrupts a spawn.

        `remove` forgets a named server altogether; ignored for the default one. True once it is stopped, or was not
        there; False while it is still stopping, or while a Hub before 5.1 must first finish the spawn.
        """

    def progress(self, username: str, server_name: str) -> AsyncGenerator[Progress]:
        """`GET …/progress`, scope `servers`: the spawn's events from its first on, ending after `ready` or `failed`.

        NotStarting if there is no spawn to tell of. HubUnavailable if the stream breaks. A stream that just ends has
        said nothing about the spawn. Close it (`aclosing`) to let go of the connection.
        """

    async def mint_token(self, username: str, *, scope: str, note: str, expires_in_s: int) -> Token:
        """`POST /users/{name}/tokens`, scope `tokens`. TokenRefused if it comes without `scope`.

        After an unclear answer a token with this note is revoked before another is minted.
        """

    async def revoke_tokens(self, username: str, *, note: str) -> None:
        """Revoke every token of the user that carries this note. `GET` and `DELETE /users/{name}/tokens`."""

    async def reach_server(self, username: str, server_name: str, url: str) -> Reached:
        """Ask the server itself, by way of the proxy, without a token: `GET {url}api`. `url` is as in `Server.url`."""
