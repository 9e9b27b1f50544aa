"""News of launches, published once they are stored.

Followers and loops use these news as hints and read the store; metrics, traces and the audit log count and record them.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from hublaunch.launch.caller import Caller
from hublaunch.launch.model import Attempt, Event, Launch

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Accepted:
    """A new launch, and not a launch found by its Idempotency-Key."""

    launch: Launch


@dataclass(frozen=True, kw_only=True, slots=True)
class DigestFound:
    """The digest of a launch's image, found after the launch was accepted."""

    launch_id: str
    image_digest: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimFailed:
    """A launch whose warm servers did not answer, so that a server is started for it."""

    launch_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CancelRequested:
    """The first request to cancel a launch."""

    launch_id: str
    by: Caller | None
    """None if the caller is unknown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionWarned:
    """A ready launch whose server will be stopped soon."""

    launch_id: str
    will_end_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionEnded:
    """A ready launch whose time is over. Its server is still to be stopped."""

    launch_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionExtended:
    """A ready launch whose server may run longer."""

    launch_id: str
    seconds: int
    will_end_at: datetime
    by: Caller


@dataclass(frozen=True, kw_only=True, slots=True)
class Adopted:
    """Launches without a living owner that this process has taken over."""

    launches: Sequence[Launch]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cleaned:
    """An attempt of which nothing is left at the Hub."""

    attempt: Attempt
    is_late: bool
    """Whether its launch had ended by then, or had gone on with another attempt."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stopped:
    """A ready launch whose server is gone."""

    launch_id: str
    stopped_by: str
    """As in `Launch.stopped_by`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DrainStarted:
    """New launches are refused from now on."""

    by: Caller


@dataclass(frozen=True, kw_only=True, slots=True)
class DrainEnded:
    """New launches are accepted again."""

    by: Caller


@dataclass(frozen=True, kw_only=True, slots=True)
class GuardCleared:
    """Earlier failed spawns no longer count."""

    image: str | None
    """The image that is admitted again; None for all failures together."""
    by: Caller


@dataclass(frozen=True, kw_only=True, slots=True)
class LogGrew:
    """A hint that another process has stored events of a launch. It may come late, twice or never."""

    launch_id: str
    seq: int
    """The number of the last event."""


@dataclass(frozen=True, slots=True)
class WorkLeft:
    """A hint that another process has left a launch to cancel or to adopt. It may come late, twice or never."""


News = (
    Event
    | Accepted
    | ClaimFailed
    | DigestFound
    | CancelRequested
    | SessionWarned
    | SessionEnded
    | SessionExtended
    | Adopted
    | Cleaned
    | Stopped
    | DrainStarted
    | DrainEnded
    | GuardCleared
    | LogGrew
    | WorkLeft
)
"""All kinds of news. A process publishes an `Event` only if it stored the event itself."""


class NewsStream:
    """Passes news on to its subscribers, in the event loop and in the order in which it was stored."""

    def __init__(self) -> None:
        self._subscribers: list[Callable[[News], None]] = []

    def subscribe(self, subscriber: Callable[[News], None]) -> None:
        """Call `subscriber` with all news from now on.

        News of a write arrives before its caller continues, even if that caller was cancelled, and in the caller's
        context (`contextvars`). An error of a subscriber is logged, and the others still receive the news.
        """
        self._subscribers.append(subscriber)

    def publish(self, news: News) -> None:
        for subscriber in self._subscribers:
            try:
                subscriber(news)
            except Exception:
                log.exception("A subscriber failed to handle %s", type(news).__name__)
