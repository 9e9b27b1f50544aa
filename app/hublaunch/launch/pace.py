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
    """The core's pauses, intervals and grace times, in seconds. The defaults are for production.

    They are parameters for tests, not settings for operators. Times that operators set, such as the lease and the
    launch timeout, are not here.
    """

    ask_again_s: Backoff = Backoff(0.1, 2.0)
    """Between two requests that ask whether something at the Hub has changed, or whether the Hub is back."""
    reopen_s: Backoff = Backoff(0.2, 5.0)
    """Before a progress stream that ended without a result is opened again."""
    recheck_ready_s: float = 1.5
    """Before the Hub is asked a second time whether a server is ready. A spawn that was cancelled is `ready` in the
    Hub's user model for about a second."""
    silent_s: float = 10.0
    """How long a server that the Hub calls ready may stay silent before an event says so."""
    foreign_s: float = 30.0
    """How long another web server may answer at the server's address, as an ingress does while its routes change."""
    hub_busy_s: float = 15.0
    """The pause after a 429 from the Hub that carries no `Retry-After`."""

    clean_up_grace_s: float = 5.0
    """How long a failure waits for its clean-up before it is published. The clean-up then continues."""
    finish_s: float = 30.0
    """The least time that an adopted attempt gets, even if its launch timeout has passed."""
    retry_launch_s: float = 15.0
    """How long a launch is left alone after an error that was not its own, such as a silent database."""
    drop_s: float = 5.0
    """How long the task of a dropped launch may take to end before the log names it, and how long a stop waits for
    it."""

    stalls_s: float = 10.0
    """Between two checks for launches that the Hub says nothing new about."""
    stalled_least_s: float = 60.0
    """The shortest silence after which a launch counts as stalled."""
    stalled_default_s: float = 180.0
    """The silence after which a launch counts as stalled until enough launches have shown what is usual."""

    admission_s: float = 1.0
    """Between two checks of the queue."""
    reaper_s: float = 15.0
    """Between two rounds of the reaper."""
    check_ready_s: float = 300.0
    """How often the reaper asks the Hub whether the server of a ready launch still exists."""
    refill_s: float = 2.0
    """Between two rounds of the refill of warm pools."""
    check_members_s: float = 30.0
    """How often a ready member of a warm pool is checked, and reported to the Hub as active. A culler must be slower
    than this (`doctor/warm.py`), and a claim takes only members that were seen within a few such intervals
    (`store/pool_claims.py`)."""
    claim_answers_s: float = 2.0
    """How long a claimed server may take to answer before another one is claimed."""
    check_sessions_s: float = 15.0
    """The longest time between two checks of the ends of sessions. Only a session shorter than this ends late."""
    warn_session_s: float = 600.0
    """How long before the end of a session the warning comes."""
    note_calls_s: float = 1.0
    """How long calls to the Hub that failed or were slow wait for others before they are stored."""
    poll_log_s: float = 5.0
    """How often the feed checks for events of other processes whose notification was lost."""
    read_files_s: float = 5.0
    """How often the files of limits and of the catalogue are checked for changes."""
    check_space_s: float = 2.0
    """The least time between two checks of the free disk space."""
    heartbeat_s: float = 15.0
    """How long a stream stays silent before followers get a heartbeat."""
