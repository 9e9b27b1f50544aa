"""Terms: the operator's terms for the course of every launch."""

from collections.abc import Callable
from dataclasses import dataclass

from hublaunch.launch.course.attempt import Entry


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """The operator's terms for every launch."""

    launch_timeout_s: float
    """How long a launch may take at the Hub, all attempts together."""
    max_wait_s: float
    """How long a launch may wait in the queue before its admission, and again after the Hub's 429."""
    attempts_max: int
    """The most attempts of a launch, not counting those that a restart of this service interrupted."""
    entry: Entry
    """How the visitor of a temporary user gets in. Other users log in at the Hub."""
    settled_s: float
    """How long a request may still be on its way to the Hub after it was interrupted, or after its process lost the
    launch: one lease and one call."""
    session_s: float | None = None
    """How long a ready server may run without an extension; None means no limit."""
    hub_version: Callable[[], str | None] = lambda: None
    """Returns the Hub's version, None before it is known."""
