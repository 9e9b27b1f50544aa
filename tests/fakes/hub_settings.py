"""The fake Hub's settings and journal, and waiting for its changes."""

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
    "activity_noted",
    "token_minted",
    "token_revoked",
    "hub_killed",
    "hub_started",
    "state_lost",
]


@dataclass(frozen=True, kw_only=True)
class Happening:
    """A line of the journal: what really happened at the Hub, whatever it answered."""

    what: What
    username: str
    server_name: str = ""
    at: float
    """Seconds on the loop's clock."""
    user_options: Mapping[str, Any] | None = None
    """The options of a started spawn."""


_ENDS_PENDING = ("server_ready", "spawn_failed", "spawn_cancelled", "spawn_lost")


def most_pending(journal: Iterable[Happening]) -> int:
    """Return the highest number of spawns pending at once. A killed Hub has none pending."""
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
    """The settings, with the Hub's own names where they exist. A change applies from the next request."""

    def __init__(self, *, version: str, base_url: str) -> None:
        self.version = version
        self.base_url = base_url
        """Begins and ends with a slash."""
        self.service = "launcher"
        self.api_token = "fake-hub-service-token"
        self.starts = 20_261_126_080_000
        """A mark in the Hub's pages that changes with each restart."""
        self.scopes = ["admin:users", "servers", "tokens"]
        """The scopes of the service's role."""
        self.oauth_client_id = f"service-{self.service}"
        self.oauth_token_expires_in = 1_209_600
        self.groups: dict[str, list[str]] = {}
        """The groups of each user, by username."""
        self.allow_named_servers = True
        self.named_server_limit_per_user = 0
        self.concurrent_spawn_limit = 0
        self.active_server_limit = 0
        self.spawn_throttle_retry_range = (30.0, 60.0)
        self.slow_spawn_timeout = 10.0
        """How long a POST waits for the server; 0 answers 202 immediately."""
        self.slow_stop_timeout = 10.0
        self.start_timeout = 60.0
        """The time after which a spawn fails, without a reason."""
        self.token_expires_in_max_seconds = 0
        self.spawn_s = 0.0
        """The duration of a spawn whose plan names none."""
        self.stop_s = 0.0
        """The duration of a stop whose plan names none; `math.inf`: until `release`."""
        self.clock_ahead_s = 0.0
        """How far the clock of the Hub's answers is ahead of the machine's."""
        self.interrupt_s = 0.0
        """How long a DELETE lets a cancelled spawn look ready before stopping it: 1 s at the real Hub."""
        self.pages: dict[str, tuple[int, object]] = {}
        """The answers of every server to requests with a token: status and JSON, by the path below its root."""
        self.journal: list[Happening] = []
        self._changed = asyncio.Event()

    @property
    def version_info(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.version.split("."))

    async def until(self, predicate: Callable[[], object], *, timeout: float = 5.0) -> None:  # noqa: ASYNC109
        """Return as soon as the predicate is true. Raises TimeoutError after `timeout` seconds."""
        async with asyncio.timeout(timeout):
            while not predicate():
                await self._changed.wait()

    def notice(self) -> None:
        """Wake callers of `until`."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def count(self, what: What, username: str | None = None) -> int:
        """Return how many times this happened, to this user or to all users."""
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
