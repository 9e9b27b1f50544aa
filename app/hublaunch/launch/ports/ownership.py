"""The store's role for ownership: which process runs which launch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from hublaunch.launch.caller import Caller
from hublaunch.launch.model import Launch
from hublaunch.launch.ports.queue import Admitted


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """A launch that this process must finish."""

    launch_id: str
    fence: int
    cancel_requested: bool
    admitted: Admitted | None
    """None while the launch waits in the queue."""


class Ownership(Protocol):
    """Gives each launch one owner at a time. An owner is a process that keeps renewing its lease."""

    async def renew(self) -> Sequence[Held]:
        """Renew this process's lease for another lease time. Return the launches that it must finish."""

    async def adopt(self, *, limit: int) -> Sequence[Launch]:
        """Take over launches that need an owner and have no living one, oldest first.

        Launches in progress need an owner, and so do ready launches whose cancellation was requested and launches
        with an attempt that is due for clean-up. A process counts as dead one lease time after its last `renew` or
        `adopt`, but keeps its launches until another process takes them over.
        """

    async def release(self) -> None:
        """Give up the lease: other processes may adopt every launch of this process immediately."""

    async def clean_up_again(self, launch_id: str) -> None:
        """Make every attempt that the launch no longer relies on due for clean-up again. This needs no lease.

        For a process that lost the launch and may have changed the Hub since.
        """

    async def request_cancel(self, launch_id: str, *, by: Caller | None = None) -> None:
        """Note a request to cancel, for the launch's owner. Only the first one counts. Raises LaunchNotFound.

        The caller (`by`) is not stored, but published.
        """
