"""The pauses and timeouts of the API."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class WebPace:
    """Pauses and timeouts in seconds, by default those of production. Tests shorten them."""

    body_timeout_s: float = 10.0
    """A request's body must be complete by then."""
    status_kept_s: float = 1.0
    """How long an answer of `/status` is reused."""
    overview_every_s: float = 1.0
    """How often the page for admins gets what has changed."""
    build_linger_s: float = 10.0
    """How long a stream of `/build` stays open after `ready`, so that the client is the one to close it."""
    build_recent_s: float = 600.0
    """The age up to which `/build` reuses a Hub user's ready launch."""
