"""The store's role for calls to the Hub that failed or were slow, kept for `hublaunch show`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class NotedCalls:
    """Calls to the Hub for one attempt, of one kind and with one outcome, that failed or were slow."""

    launch_id: str
    attempt: int
    kind: str
    """As in the metric `hublaunch_hub_request_seconds`."""
    outcome: str
    """As in the metric `hublaunch_hub_errors_total`; `answered` if the calls were only slow."""
    count: int
    first_at: datetime
    last_at: datetime
    """When the first and the last of them ended."""
    slowest_s: float


class HubCalls(Protocol):
    """Keeps calls to the Hub beside their attempts. The kinds and outcomes are few, and so is what an attempt keeps."""

    async def add(self, noted: Sequence[NotedCalls]) -> None:
        """Add these calls to those that the attempts have. Calls of launches that were removed are left out."""
