"""The store's role at acceptance: each launch once for its key, within its quotas."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from hublaunch.launch.acceptance.idempotency import IdempotencyKey
from hublaunch.launch.model import Launch
from hublaunch.launch.ports.log import LaunchFilter
from hublaunch.launch.rules.queue_order import Weight, equal
from hublaunch.launch.rules.quota import Quota


@dataclass(frozen=True, kw_only=True, slots=True)
class Unless:
    """A condition of acceptance: refuse the launch if the caller already has one like it."""

    among: LaunchFilter
    most: int
    """How many of those launches to check, newest first."""
    is_same: Callable[[Launch], bool]


class Intake(Protocol):
    """Accepts launches. Its conditions hold across all processes that accept launches at the same time."""

    async def accept(
        self,
        launch: Launch,
        key: IdempotencyKey | None = None,
        *,
        unless: Unless | None = None,
        quotas: Sequence[Quota] = (),
        in_progress_max: int | None = None,
        weight: Weight = equal,
    ) -> Launch:
        """Store a new launch with its first attempt and first event. This process owns it, and it joins the queue.

        A launch with a `pool` and no `pool_miss` takes over the server of a ready member of that pool instead, if there
        is one. The member is stopped in the same transaction, so that no other launch gets its server.

        Return the new launch, or the launch already accepted with this key; in that case nothing is stored.

        Raises IdempotencyKeyReused if the key came with a different request, AlreadyRunning if `unless` forbids the
        launch, AlreadyLaunching if another launch in progress uses the same server, QuotaReached for the first of
        `quotas` that is used up, QueueFull if `in_progress_max` launches are in progress and none of them makes room
        (`rules/displacement.py`), StorageFull if the disk has too little space left, or ServiceDraining if an operator
        is refusing new launches.

        A launch that makes room ends with Displaced in the same transaction: its last event is stored, and nothing is
        left to clean up.
        """
