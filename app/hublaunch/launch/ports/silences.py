"""The store's role for stalls: launches that the Hub says nothing new about, and how long such silences usually are."""

from collections.abc import Sequence
from typing import Protocol

from hublaunch.launch.model import Launch, Step


class Silences(Protocol):
    """Measures how long launches at the Hub go without an event."""

    async def silent(self, *, for_s: float) -> Sequence[Launch]:
        """Return this process's launches at the Hub whose last event is older than this, oldest launch first.

        Launches that are known to be stalled, or are being cancelled, are not among them.
        """

    async def longest(self) -> Sequence[float]:
        """Return the longest silence of each of the last launches that became ready, in seconds, newest first.

        At most `SILENCES_MAX` (`rules/stall.py`), of all processes.
        """

    async def append_if_silent(self, launch: Launch, step: Step) -> bool:
        """Append a step unless an event has followed the launch's last one. Return whether the step is stored.

        Raises LeaseLost as `LaunchLog.append` does.
        """
