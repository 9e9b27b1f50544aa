"""Settings of the queue, and of the guard that keeps failed spawns away from the Hub."""

from typing import Literal

from pydantic import Field

from hublaunch.settings.topics import Topic
from hublaunch.settings.types import Weights


class QueueSettings(Topic):
    """The queue and the Hub guard: docs/guard.md."""

    max_concurrent_spawns: int = Field(50, ge=1)
    """Maximum number of launches at the Hub at the same time, over all replicas; others wait in the queue. Keep it
    below the Hub's concurrent_spawn_limit (z2jh: 64).
    """
    max_queue: int = Field(1000, ge=0)
    """Maximum number of launches in the queue. When it is full, the caller with the most launches makes room for a
    caller with fewer, and other requests get 503.
    """
    max_wait_s: float = Field(3600, gt=0)
    """Seconds that a launch may wait in the queue."""
    caller_weights: Weights = Field({}, examples=['{"key:course-*": 5, "hub:*": 2}'])
    """How often a caller is admitted compared with others, as a JSON object from glob patterns to numbers above 0. A
    caller that matches no pattern has weight 1.
    """
    hub_guard: Literal["normal", "strict", "off"] = "normal"
    """How carefully hublaunch launches unproven images. A Hub exits after too many failed spawns in a row. In strict
    mode, hublaunch never risks that many; off is for a Hub whose consecutive_failure_limit is 0."""
    hub_failure_limit: int = Field(4, ge=1)
    """Spawns that may fail in a row. Set it one below the Hub's consecutive_failure_limit (z2jh: 5)."""
