"""What the core asks of the counts of rate limits."""

from collections.abc import Sequence
from typing import Protocol

from hublaunch.launch.rules.rate_limit import Limit, Verdict


class RateCounts(Protocol):
    """How much of each rate limit is used. Each method is done as a whole before another begins, in any process."""

    async def take(self, limits: Sequence[Limit]) -> Verdict:
        """Take one of each limit; none of any if one has no room."""

    async def inspect(self, limits: Sequence[Limit]) -> Verdict:
        """Whether each limit has room."""

    async def owe(self, limits: Sequence[Limit]) -> None:
        """Count one of each limit, whether or not there is room."""

    async def prune(self) -> None:
        """Remove what says nothing any more."""
