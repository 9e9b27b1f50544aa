"""Metrics of the queue, the Hub and the guard, which all replicas read from the same database."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import get_args

from prometheus_client import CollectorRegistry, Gauge

from hublaunch.launch.ports import Capacity
from hublaunch.launch.rules.guard import GuardState

_NAN = float("nan")
_SHARED = "Same on all replicas: use max(), not sum()."

_GAUGES: Mapping[str, tuple[str, Callable[[Capacity], float]]] = {
    "queue_size": ("Launches in the queue.", lambda now: now.waiting),
    "queue_oldest_seconds": ("Age of the oldest launch in the queue.", lambda now: _age_s(now.waiting_since)),
    "launches_launching": ("Launches admitted to the Hub and not yet ready.", lambda now: now.launching),
    "launches_stalled": ("Launches at the Hub without news for longer than usual.", lambda now: now.stalled),
    "launches_ready": ("Launches whose servers are up, as last seen.", lambda now: now.ready),
    "hub_busy_seconds": ("Time until the Hub accepts spawns again after a 429.", lambda now: now.hub_busy_for_s or 0),
    "draining": ("1 while an operator is refusing new launches, else 0.", lambda now: now.is_draining),
    "guard_failures": ("Upper bound of the spawns that failed in a row at the Hub.", lambda now: now.failures),
    "guard_window": (
        "Launches of unproven images allowed at the same time; NaN while the guard is off.",
        lambda now: _NAN if now.window is None else now.window,
    ),
    "guard_failing_images": ("Images refused because they keep failing.", lambda now: now.failing_images),
}
"""Gauges read from the database: name, help text, value."""


class CapacityMetrics:
    """Gauges in a registry of metrics, set with each scrape."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._gauges = {self._gauge(name, what): read for name, (what, read) in _GAUGES.items()}
        guard = self._gauge("guard_state", "1 for the current state of the Hub guard, else 0.", "state")
        self._guard: Mapping[GuardState, Gauge] = {state: guard.labels(state) for state in get_args(GuardState)}

    def set(self, capacity: Capacity | None) -> None:
        """Show this capacity; None if the database did not answer, which makes the gauges NaN."""
        for gauge, read in self._gauges.items():
            gauge.set(_NAN if capacity is None else read(capacity))
        for state, gauge in self._guard.items():
            gauge.set(_NAN if capacity is None else capacity.guard == state)

    def _gauge(self, name: str, what: str, *labels: str) -> Gauge:
        return Gauge(name, f"{what} {_SHARED}", labels, namespace="hublaunch", registry=self._registry)


def _age_s(since: datetime | None) -> float:
    return 0.0 if since is None else max(0.0, time.time() - since.timestamp())
