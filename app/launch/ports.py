"""What the core asks of the outside: the Hub and the store, on one page."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Any, Literal, Protocol

from app.launch.model import Attempt, Caller, Event, Launch, Status, Step


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """A server in the Hub's user model."""

    name: str
    ready: bool
    pending: Literal["spawn", "stop", "check"] | None
    url: str
    """As the Hub gives it: mostly a path that includes the Hub's base_url, absolute with subdomains."""


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
    """With `ready`: as in `Server.url`."""


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
    """What asking a server itself gave."""

    ANSWERS = auto()
    ABSENT = auto()
    """The proxy answered, and not for the server: 5xx, 424, or a redirect to the Hub."""
    UNREACHABLE = auto()
    """There is no way to the proxy from here, so nothing is known."""


class Hub(Protocol):
    """JupyterHub, in its own words.

    Every call may raise HubUnavailable (after the retries that are safe), HubForbidden (403) and HubRefused (another
    4xx). Calls that create look at what is there before they ask a second time, so none creates twice. A cancelled
    call leaves open whether the Hub acted.
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

    async def reach_server(self, username: str, server_name: str) -> Reach:
        """Ask the server itself, `GET /user/{name}/{server_name}/api` by way of the proxy, no token."""


class LaunchStore(Protocol):
    """The records. Every method is one transaction, stored when it returns.

    A cancelled call may still be carried out. After a fault of the database the call raises what the database said,
    and nothing of the transaction is stored.
    """

    async def accept(self, launch: Launch) -> None:
        """Store a new launch with its first attempt and its first event.

        QuotaReached if its caller has `max_active` launches under way or ready, AlreadyLaunching if another launch of
        the same server is under way; both are held over all that accept.
        """

    async def begin_attempt(self, attempt: Attempt) -> None:
        """Store the next attempt of a launch, before anything is asked of the Hub for it."""

    async def append(self, launch_id: str, step: Step) -> Event:
        """Store a step as the launch's next event; its phase becomes the launch's status, its token is sealed.

        ValueError if the launch's status may not become that phase.
        """

    def subscribe(self, listener: Callable[[Event], None]) -> None:
        """Call `listener` with every event from then on, in the event loop, once it is stored and in its order.

        It is told also if the caller of `append` was cancelled meanwhile. It must not raise.
        """

    async def request_cancel(self, launch_id: str) -> None:
        """Note that somebody asked to cancel, so that a restart knows; the first such request counts."""

    async def mark_cleaned(self, attempt: Attempt) -> None:
        """Note that nothing of this attempt is left at the Hub."""

    async def mark_stopped(self, launch_id: str, *, stopped_by: str) -> None:
        """A ready launch's server is gone: its status becomes `stopped`. No event: the stream has ended."""

    async def get(self, launch_id: str) -> Launch | None:
        """The launch as it stands."""

    async def launches(
        self, caller: Caller | None, *, status: Status | None = None, before: str | None = None, limit: int | None
    ) -> Sequence[Launch]:
        """The launches of a caller, or everybody's, the newest first; those accepted before the id `before`."""

    async def events(self, launch_id: str, *, after: int) -> Sequence[Event]:
        """The launch's events with a `seq` above `after`, in order."""

    async def unfinished(self) -> Sequence[Launch]:
        """Launches that are under way, and ended ones whose attempts are not yet cleaned up, oldest first.

        A ready launch is finished unless its cancellation was requested.
        """
