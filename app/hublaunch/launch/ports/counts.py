"""The port to the counts of the rate limits."""

from collections.abc import Sequence
from typing import Protocol

from hublaunch.launch.rules.rate_limit import Limit, Verdict


class RateCounts(Protocol):
    """The used part of each rate limit. Every method is atomic, over all processes that share the counts."""

    async def take(self, limits: Sequence[Limit]) -> Verdict:
        """Count one request in every limit if all allow it, else in none."""

    async def inspect(self, limits: Sequence[Limit]) -> Verdict:
        """Return whether every limit allows one request, without counting it."""

    async def owe(self, limits: Sequence[Limit]) -> None:
        """Count one request in every limit, allowed or not."""

    async def prune(self) -> None:
        """Remove the counts of limits that are unused again."""
