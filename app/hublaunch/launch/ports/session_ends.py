"""The store's role for the ends of sessions: which servers are to be stopped because their time is over."""

from dataclasses import dataclass
from typing import Protocol

from hublaunch.launch.caller import Caller
from hublaunch.launch.rules.session import SessionTerms


@dataclass(frozen=True, kw_only=True, slots=True)
class Extension:
    """A request to let a server run longer."""

    launch_id: str
    seconds: int
    """How much later the server will be stopped."""
    key: str | None
    """The SHA-256 of the Idempotency-Key, so that the key cannot be read from the database; None without a key."""


class SessionEnds(Protocol):
    """Finds the ready launches whose time is over, each once over all processes, by the database's clock."""

    async def warn(self, *, before_s: float, limit: int) -> int:
        """Publish SessionWarned for launches that end within `before_s`, the next ones first. Return how many.

        A launch is warned once, and again after each extension.
        """

    async def end(self, *, limit: int) -> int:
        """Request that launches whose time is over be cancelled, the oldest ends first. Return how many.

        Their servers run until the process that adopts such a launch has stopped them.
        """

    async def next_in_s(self) -> float | None:
        """Return the seconds until the next end, at most 0 if one is due; None if no launch has an end."""

    async def extend(self, extension: Extension, *, terms: SessionTerms, by: Caller) -> None:
        """Let a server run longer. A repeated `key` changes nothing.

        Raises LaunchNotFound, IdempotencyKeyReused if the key came with other `seconds`, NothingToExtend if the launch
        is not ready, has no end, or is to be stopped already, and SessionLimitReached if `terms` forbid it.
        """
