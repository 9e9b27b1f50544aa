"""How long the core waits: its pauses, intervals and grace times."""

from collections.abc import Generator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses that double from the first to the longest."""

    first_s: float
    longest_s: float

    def pauses(self) -> Generator[float]:
        """Yield the pauses in seconds, without end."""
        pause_s = self.first_s
        while True:
            yield pause_s
            pause_s = min(2 * pause_s, self.longest_s)

    def at_least(self, seconds: float) -> "Backoff":
        """Return the same backoff without pauses shorter than `seconds`."""
        return Backoff(max(self.first_s, seconds), max(self.longest_s, seconds))


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """Every time that the core waits for something, with the values for production.

    These are parameters for tests, not settings for operators. What follows from a setting, such as the lease time or
    the launch timeout, is not here.
    """

    ask_again_s: Backoff = Backoff(0.1, 2.0)
    """Between two requests that ask whether something at the Hub has changed, or whether the Hub is back."""
    reopen_s: Backoff = Backoff(0.2, 5.0)
    """Before a progress stream is opened again that ended without a result."""
    second_look_s: float = 1.5
    """Before the Hub is asked a second time whether a server is ready. A spawn that was cancelled is `ready` in the
    Hub's user model for about a second."""
    silent_s: float = 10.0
    """How long a ready server may leave requests unanswered before an event tells followers about it."""
    foreign_s: float = 30.0
    """How long a web server other than the Hub's proxy may answer, as an ingress does while its routes change."""
    hub_busy_s: float = 15.0
    """The pause after a 429 from the Hub that carries no `Retry-After`."""

    clean_up_grace_s: float = 5.0
    """How long a failure waits for its clean-up before it is published. The clean-up then continues."""
    finish_s: float = 30.0
    """The least time an adopted attempt gets to finish, even after the launch timeout."""
    retry_launch_s: float = 15.0
    """How long this process leaves a launch alone after an error that was not the launch's."""

    admission_s: float = 1.0
    """Between two looks at the queue."""
    reaper_s: float = 15.0
    """Between two rounds of the reaper."""
    check_ready_s: float = 300.0
    """How often the reaper asks the Hub whether the server of a ready launch still exists."""
    poll_log_s: float = 5.0
    """How often followers check for events of other processes whose notification was lost."""
    limits_file_s: float = 5.0
    """How often the limits file is checked for changes."""
    heartbeat_s: float = 15.0
    """How long a stream stays silent before followers get a heartbeat."""
