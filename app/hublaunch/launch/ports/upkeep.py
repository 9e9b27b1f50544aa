"""The store's roles once a launch is ready or has ended: clean-up, checks of servers, removal of old launches."""

from collections.abc import Collection, Sequence
from typing import Protocol

from hublaunch.launch.model import Attempt, Launch
from hublaunch.launch.rules.quota import Quota


class Upkeep(Protocol):
    """Tracks everything that launches leave at the Hub. Fences hold as in `LaunchLog`."""

    async def due(self, launch_id: str) -> Sequence[Attempt]:
        """Return the launch's attempts that are due for clean-up."""

    async def mark_cleaned(self, launch: Launch, attempt: Attempt, *, again_in_s: float | None = None) -> None:
        """Note that nothing of this attempt is left at the Hub. After `again_in_s` it is due again."""

    async def mark_stopped(self, launch: Launch, *, stopped_by: str, clean_in_s: float | None) -> None:
        """Note that a ready launch's server is gone: its status becomes `stopped`, without an event.

        Its attempt is due for clean-up after `clean_in_s`; None if nothing is left. Raises ValueError if the launch is
        not ready.
        """

    async def ready_to_check(self, *, every_s: float, limit: int) -> Sequence[Launch]:
        """Return ready launches that no process has checked in the last `every_s`, the longest unchecked first.

        They count as checked from now on.
        """

    async def holders(self, quota: Quota, *, every_s: float, but: Collection[str], limit: int) -> Sequence[Launch]:
        """Return ready launches that count for the quota, as `ready_to_check` does, except those with ids in `but`."""


class History(Protocol):
    """Bounds how many launches are kept. Launches that left something at the Hub are never removed."""

    async def remove_old(self, *, older_than_s: float, limit: int) -> int:
        """Remove ended launches that were accepted this long ago. Return how many."""

    async def remove_unasked(self, *, older_than_s: float, limit: int) -> int:
        """Remove launches that ended this long ago without any request to the Hub. Return how many.

        A launch with an Idempotency-Key stays for as long as the key is kept.
        """

    async def remove_excess(self, *, launching_in_s: float, bytes_most: int, limit: int) -> int:
        """Remove the oldest ended launches of callers whose ended launches exceed `bytes_most`. Return how many.

        This checks only callers with a launch accepted in the last `launching_in_s`, and no API keys. An IPv6 /48
        counts as one caller.
        """
