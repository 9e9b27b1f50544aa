"""The store's role for operators: everything that is in progress, and the switches of the whole service."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from hublaunch.launch.caller import Caller
from hublaunch.launch.model import Launch
from hublaunch.launch.ports.queue import Capacity
from hublaunch.launch.rules.guard import Failing, Guard
from hublaunch.launch.rules.quota import Active


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadyServers:
    """Ready servers of one image."""

    environment: str
    """`""` for launches that named the image themselves."""
    image: str
    servers: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ActiveCaller:
    """A caller with launches that are active: in progress or ready."""

    caller: Caller
    active: int


@dataclass(frozen=True, kw_only=True, slots=True)
class WarmMembers:
    """The servers of a warm pool that nobody has taken, without those that are being stopped."""

    pool: str
    ready: int
    starting: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Process:
    """A process of hublaunch."""

    id: str
    leased_until: datetime
    launches: int
    """Launches in progress that it runs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Overview:
    """A snapshot of what a service is doing."""

    at: datetime
    """By the clock of the database."""
    capacity: Capacity
    launches: Sequence[Launch]
    """In progress: first those at the Hub, then the queue, the oldest of each first."""
    ready: Sequence[ReadyServers]
    """The most frequent first, without those of warm pools."""
    callers: Sequence[ActiveCaller]
    """Those with the most active launches first."""
    active: Active
    """What quotas count."""
    warm: Sequence[WarmMembers]
    """By the names of the pools."""
    refused: Mapping[str, Failing]
    """Images that the guard refuses."""
    processes: Sequence[Process]


class Operation(Protocol):
    """Shows what a service does, over all processes, and changes what it accepts."""

    async def overview(self, *, guard: Guard, spawns: int, most: int) -> Overview:
        """Return what the service does. `spawns`: launches at the Hub at once. `most`: the longest list."""

    async def start_drain(self, *, by: Caller) -> None:
        """Refuse new launches and hold the queue. Publishes DrainStarted if this changed anything."""

    async def end_drain(self, *, by: Caller) -> None:
        """Accept launches again. Publishes DrainEnded if this changed anything."""

    async def clear_guard(self, image: str | None, *, by: Caller) -> None:
        """Admit an image again; with None, count failed spawns from zero. Publishes GuardCleared.

        Raises InvalidRequest if `image` is not the name of an image.
        """
