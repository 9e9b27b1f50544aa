"""The metrics of invitations: their launches, by the names of the newest ones."""

import logging
from collections.abc import Awaitable, Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge

from hublaunch.launch.caller import Caller
from hublaunch.launch.rules.invitation import InvitationUse

log = logging.getLogger(__name__)

SHOWN_MAX = 100
"""Invitations that have gauges."""
_COUNTED_MAX = 1000
"""Invitations that have a counter of their own."""
_OTHER = "other"
_SHARED = "Same on all replicas: use max(), not sum()."


class InvitationMetrics:
    """Counts accepted launches by invitation, and shows the use of those that are not over."""

    def __init__(self, registry: CollectorRegistry, read: Callable[[int], Awaitable[Sequence[InvitationUse]]]) -> None:
        """`read` returns the newest invitations that are not over, at most as many as it is given."""
        self._read = read
        self._names: set[str] = set()
        self._launches = Counter(
            "invitation_launches",
            "Launches accepted with an invitation, by its name.",
            ["invitation"],
            namespace="hublaunch",
            registry=registry,
        )
        self._active = self._gauge(registry, "invitation_active", "Active launches of an invitation that is not over.")
        self._most = self._gauge(registry, "invitation_most", "Launches of an invitation that may be active at once.")

    def count(self, caller: Caller) -> None:
        """Count an accepted launch of this caller, if the caller holds an invitation."""
        if caller.kind != "invitation":
            return
        if len(self._names) < _COUNTED_MAX:
            self._names.add(caller.key)
        self._launches.labels(caller.key if caller.key in self._names else _OTHER).inc()

    async def refresh(self) -> None:
        """Read the use of invitations; if the database does not answer, no invitation is shown."""
        try:
            uses = await self._read(SHOWN_MAX)
        except Exception:
            log.exception("The database did not answer while Prometheus scraped the use of invitations")
            uses = ()
        self._active.clear()
        self._most.clear()
        for use in uses:
            self._active.labels(use.invitation.name).set(use.active)
            self._most.labels(use.invitation.name).set(use.invitation.most)

    @staticmethod
    def _gauge(registry: CollectorRegistry, name: str, what: str) -> Gauge:
        return Gauge(name, f"{what} {_SHARED}", ["invitation"], namespace="hublaunch", registry=registry)
