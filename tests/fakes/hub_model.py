"""The fake Hub's users, servers and spawns, and their JSON in each version of the Hub."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import quote

from tests.fakes.spawn_plan import SpawnPlan

Pending = Literal["spawn", "stop", "check"]
Version = tuple[int, ...]


def is_strict(version: Version) -> bool:
    """Return whether the Hub refuses names of dots: since 5.5.3, and since 6.1."""
    return (5, 5, 3) <= version < (6,) or version >= (6, 1)


class Refusal(Exception):
    """An error answer: its status, the Hub's message, and headers such as Retry-After."""

    def __init__(self, status: int, message: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})


class Spawn:
    """One spawn and its progress. Any number of readers get all events from the first."""

    def __init__(self, plan: SpawnPlan, seconds: float) -> None:
        self.plan = plan
        self.seconds = seconds
        self.events: list[Mapping[str, Any]] = [{"progress": 0, "message": "Server requested"}]
        self._ended = False
        self.refusal: Refusal | None = None
        """The answer to a POST that waited for this spawn, if not 201."""
        self.timers: list[asyncio.TimerHandle] = []
        self.moved = asyncio.Event()
        """Set at the next change, and then replaced by a new one."""

    def tell(self, event: Mapping[str, Any]) -> None:
        self.events.append(event)
        moved, self.moved = self.moved, asyncio.Event()
        moved.set()

    def end(self, last: Mapping[str, Any], refusal: Refusal | None = None) -> None:
        for timer in self.timers:
            timer.cancel()
        self.refusal = refusal
        self._ended = True
        self.tell(last)

    def has_ended(self) -> bool:
        """Return whether the last event was the final one."""
        return self._ended

    async def until_ended(self) -> None:
        while not self.has_ended():
            await self.moved.wait()


@dataclass(eq=False)
class Server:
    """A user's server, named or (`""`) default. It is remembered after it has stopped."""

    username: str
    name: str
    url: str
    user_options: dict[str, Any] | None = None
    started: datetime | None = None
    active: bool = False
    pending: Pending | None = None
    answers: bool = False
    """Whether the server itself answers, whatever the Hub says."""
    loaded: bool = False
    """Whether the Hub holds a spawner object for it. Progress answers 404 without one, and 400 with an idle one."""
    spawn: Spawn | None = None
    """The pending spawn, or a failed spawn not yet replaced."""
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared while the server is stopping."""
    stop_timer: asyncio.TimerHandle | None = None
    remove_when_stopped: bool = False
    own_token: str | None = None
    """The server's own API token."""

    def __post_init__(self) -> None:
        self.stopped.set()

    @property
    def ready(self) -> bool:
        return self.active and self.pending is None

    @property
    def log_name(self) -> str:
        return f"{self.username}:{self.name}" if self.name else self.username

    def ready_event(self) -> dict[str, Any]:
        return {
            "progress": 100,
            "ready": True,
            "message": f"Server ready at {self.url}",
            "html_message": f'Server ready at <a href="{self.url}">{self.url}</a>',
            "url": self.url,
        }

    def as_json(self, api_path: str) -> dict[str, Any]:
        address = f"servers/{escape(self.name)}" if self.name else "server"
        return {
            "name": self.name,
            "started": stamp(self.started),
            "pending": self.pending,
            "ready": self.ready,
            "stopped": not self.active,
            "url": self.url,
            "user_options": self.user_options,
            "progress_url": f"{api_path}users/{escape(self.username)}/{address}/progress",
        }


@dataclass(eq=False)
class User:
    name: str
    created: datetime
    servers: dict[str, Server] = field(default_factory=dict)

    def as_json(self, api_path: str, *, include_stopped_servers: bool) -> dict[str, Any]:
        default = self.servers.get("")
        return {
            "name": self.name,
            "kind": "user",
            "admin": False,
            "created": stamp(self.created),
            "server": default.url if default is not None and default.ready else None,
            "pending": default.pending if default is not None else None,
            "servers": {
                name: server.as_json(api_path)
                for name, server in self.servers.items()
                if server.active or include_stopped_servers
            },
        }


def now() -> datetime:
    return datetime.now(UTC)


def stamp(instant: datetime | None) -> str | None:
    return None if instant is None else instant.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def escape(name: str) -> str:
    """Quote a name the way the Hub does in URLs."""
    return quote(name, safe="@~")
