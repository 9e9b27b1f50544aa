"""The lease clock: whether this process may still act for its launches."""

import time
from collections.abc import Callable

from hublaunch.launch.course.launch_run import check_not_dropped
from hublaunch.launch.ports import LeaseLost


class LeaseClock:
    """How long this process may act for its launches, by its own clock.

    A process that was frozen resumes with the next action, even if its lease has run out meanwhile. So it asks this
    clock before each change at the Hub. The database would answer too late.
    """

    def __init__(self, lease_s: float, *, now: Callable[[], float] = time.monotonic) -> None:
        """`now` returns seconds of a clock that never goes back."""
        self.lease_s = lease_s
        self.now = now
        self.lapses = 0
        """How many times the lease had run out when it was renewed."""
        self._until = 0.0

    def renewed(self, asked_at: float) -> None:
        """Note that the lease was renewed by a request made at `asked_at`, by this clock."""
        if self.has_run_out:
            self.lapses += 1
        self._until = asked_at + self.lease_s

    @property
    def has_run_out(self) -> bool:
        return self.now() > self._until

    def check(self) -> None:
        """Raise LeaseLost if the lease has run out, or if the launch that the current task works on was dropped."""
        check_not_dropped()
        if self.has_run_out:
            raise LeaseLost("this process has not renewed its lease in time")
