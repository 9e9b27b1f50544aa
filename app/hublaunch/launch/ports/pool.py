"""The store's role for warm pools: servers that are started before anybody asks for them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from hublaunch.launch.model import Attempt, Launch
from hublaunch.launch.ports.queue import Capacity
from hublaunch.launch.rules.guard import Guard
from hublaunch.launch.rules.pool import Pool
from hublaunch.launch.rules.refill_wait import RefillWait, refill_wait


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolState:
    """A warm pool over all processes, as operators see it."""

    name: str
    """The environment of the catalogue, and its size if it has one: `scipy`, `scipy/small`."""
    wanted: int = 0
    """Members that it should have now; 0 once the catalogue no longer has it. Filled by `overview`."""
    starting: int = 0
    """Members whose servers are being started."""
    ready: int = 0
    """Members that a launch could claim."""
    retiring: int = 0
    """Members whose servers are being stopped."""
    oldest_since: datetime | None = None
    """When the oldest ready member was started; None without any."""
    hits: int = 0
    """Launches that claimed a member, in the time that was asked for."""
    misses: Mapping[str, int] = field(default_factory=dict)
    """Launches of the pool's environment that could not claim a member, by the reason, in the same time."""
    lost: int = 0
    """Ready members whose servers were found gone, for example stopped by a culler, in the same time."""
    wasted_s: float = 0.0
    """The seconds that members were ready before they were retired or lost without a claim, in the same time."""
    failures: int = 0
    """How many of the last members failed to start, in a row."""
    retry_at: datetime | None = None
    """When the next member may be started after those failures; None without failures."""
    is_drained: bool = False
    """Whether an operator has drained the pool, so that no member is started until it is filled again."""
    has_room: bool = False
    """Whether one more member could be started now. Filled by `overview` if the pool lacks members."""

    def waits_for(self, capacity: Capacity, *, now: datetime) -> RefillWait | None:
        """Return what the pool waits for before it starts more members; None if nothing is in the way."""
        return refill_wait(
            missing=self.wanted - self.ready - self.starting,
            is_stopped=self.is_drained or capacity.is_draining,
            is_paused=self.retry_at is not None and self.retry_at > now,
            waiting=capacity.waiting,
            hub_is_busy=capacity.hub_busy_for_s is not None,
            guard=capacity.guard,
            has_room=self.has_room,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class RefillTerms:
    """The limits within which members are started."""

    guard: Guard
    spawns_most: int
    """Launches that may be at the Hub at once. Members use a part of that (`refill_most`)."""
    members_most: int
    """Members of all pools together."""
    total: int | None
    """The quota of all active launches, toward which members count; None for no limit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Refilled:
    """The result of a round of refill."""

    started: Sequence[Launch] = ()
    """New members, which this process owns and must run."""
    retired: int = 0
    has_members: bool = False
    """Whether any pool has members."""


class Pools(Protocol):
    """The members of warm pools: starts, claims and retires them, and notes the operator's orders."""

    async def refill(
        self, pools: Sequence[Pool], terms: RefillTerms, *, new_member: Callable[[Pool, datetime], Launch]
    ) -> Refilled:
        """Start the members that are missing, and retire those that are too old or not wanted, over all processes.

        Only the living process that started last does so: its catalogue counts.
        None is started while a launch waits in the queue, or while the guard or the Hub holds launches back.
        `new_member` returns a member that was admitted at the given time.
        """

    async def has_free(self, pool: str) -> bool:
        """Return whether a member of the pool of this key could be claimed now."""

    async def claim_next(self, launch: Launch, *, may_claim: bool, cold: Attempt) -> None:
        """Give up the server that a launch has claimed, whose member then deletes its user.

        The launch claims another member if it may and one is ready; otherwise it joins the queue with the attempt
        `cold`. Raises LeaseLost as `LaunchLog.append` does, and ValueError if the launch has no claim in progress.
        """

    async def to_check(self, *, every_s: float, limit: int) -> Sequence[Launch]:
        """Return ready members that were not seen in the last `every_s`, the longest unseen first.

        None for a process other than the one that refills the pools.
        """

    async def note_seen(self, members: Collection[Launch]) -> None:
        """Note that the Hub has the servers of these members. Launches claim only members that were seen lately."""

    async def states(self, *, within_s: float) -> Sequence[PoolState]:
        """Return, by name, the pools that have orders or lately had members. Counts are of the last `within_s`."""

    async def overview(self, pools: Sequence[Pool], terms: RefillTerms, *, within_s: float) -> Sequence[PoolState]:
        """Return the states, with the wanted members, of these pools and of all others that lately had members."""

    async def drain(self, name: str) -> int:
        """Retire every member of a pool, and start no other until `fill`. Return how many members are retired now."""

    async def fill(self, name: str) -> None:
        """End a drain, and try again at once if starts have failed."""
