"""What can be set on the fake Hub, its journal, and waiting for what happens at it."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

What = Literal[
    "user_created",
    "user_deleted",
    "spawn_started",
    "server_ready",
    "spawn_failed",
    "spawn_cancelled",
    "spawn_lost",
    "server_stopped",
    "server_removed",
    "token_minted",
    "token_revoked",
    "hub_killed",
    "hub_started",
    "state_lost",
]


@dataclass(frozen=True, kw_only=True)
class Happening:
    """A line of the journal: what really happened at the Hub, whatever was answered."""

    what: What
    username: str
    server_name: str = ""
    at: float
    """Seconds on the loop's clock."""
    user_options: Mapping[str, Any] | None = None
    """Of a spawn that started."""


_ENDS_PENDING = ("server_ready", "spawn_failed", "spawn_cancelled", "spawn_lost")


def most_pending(journal: Iterable[Happening]) -> int:
    """The most spawns that were pending at one instant; a Hub that is killed has none."""
    pending, most = set[tuple[str, str]](), 0
    for line in journal:
        if line.what == "spawn_started":
            pending.add((line.username, line.server_name))
            most = max(most, len(pending))
        elif line.what in _ENDS_PENDING:
            pending.discard((line.username, line.server_name))
        elif line.what == "hub_killed":
            pending.clear()
    return most


class HubSettings:
    """Settings carry the Hub's own names where the Hub has one. Change them at any time; the next request obeys."""

    def __init__(self, *, version: str, base_url: str) -> None:
        self.version = version
        self.base_url = base_url
        """Begins and ends with a slash."""
        self.service = "launcher"
        self.api_token = "fake-hub-service-token"
        self.starts = 20_261_126_080_000
        """In the Hub's pages; another after each restart."""
        self.scopes = ["admin:users", "servers", "tokens"]
        """Of the service's role."""
        self.oauth_client_id = f"service-{self.service}"
        self.oauth_token_expires_in = 1_209_600
        self.groups: dict[str, list[str]] = {}
        """By username: the groups that a user is in."""
        self.allow_named_servers = True
        self.named_server_limit_per_user = 0
        self.concurrent_spawn_limit = 0
        self.active_server_limit = 0
        self.spawn_throttle_retry_range = (30.0, 60.0)
        self.slow_spawn_timeout = 10.0
        """How long POST waits for the server; 0 answers 202 at once."""
        self.slow_stop_timeout = 10.0
        self.start_timeout = 60.0
        """After which a spawn fails, with no text."""
        self.token_expires_in_max_seconds = 0
        self.keepalive_s = 8.0
        """The pause between two blank lines of a progress stream."""
        self.spawn_s = 0.0
        """How long a spawn takes when its plan does not say."""
        self.stop_s = 0.0
        """How long a server takes to stop when its plan does not say; `math.inf`: until `finish_stop`."""
        self.interrupt_s = 0.0
        """How long DELETE lets a cancelled spawn look ready before it stops it: 1 s at the real Hub."""
        self.absent_status: Literal[302, 424, 503] = 302
        """What the proxy answers where there is no server; 302 leads to the Hub's own page, as behind the real one."""
        self.journal: list[Happening] = []
        self._changed = asyncio.Event()

    @property
    def version_info(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.version.split("."))

    async def until(self, predicate: Callable[[], object], *, timeout: float = 5.0) -> None:  # noqa: ASYNC109
        """Return as soon as the predicate is true of the Hub; TimeoutError if it is not within `timeout` seconds."""
        async with asyncio.timeout(timeout):
            while not predicate():
                await self._changed.wait()

    def notice(self) -> None:
        """Wake whoever waits in `until`."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def count(self, what: What, username: str | None = None) -> int:
        """How often this happened, to this user or to anybody."""
        return sum(line.what == what and username in (None, line.username) for line in self.journal)

    def _happened(
        self,
        what: What,
        username: str = "",
        server_name: str = "",
        *,
        user_options: Mapping[str, Any] | None = None,
    ) -> None:
        at = asyncio.get_running_loop().time()
        happening = Happening(what=what, username=username, server_name=server_name, at=at, user_options=user_options)
        self.journal.append(happening)
        self.notice()
