"""The part of the catalogue about warm servers: how many an environment keeps ready, for how long, and when more."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

CRON_MAX = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A time in which a pool keeps more servers, such as the first hours of a weekly course."""

    cron: str
    """When it opens: a cron expression of five fields, checked by `check_cron`."""
    timezone: str
    """The time zone of the expression: a name of the IANA database, checked by `check_timezone`."""
    for_s: float
    """How many seconds it stays open."""
    keep: int
    """How many servers the pool keeps while it is open."""

    def is_open(self, at: datetime, *, early_s: float = 0) -> bool:
        """Return whether it is open at this time, or opens within `early_s`.

        A time that daylight saving skips counts as the first minute after the gap, and a repeated one counts once.
        """
        zone = ZoneInfo(self.timezone)
        after = (at - timedelta(seconds=self.for_s)).astimezone(zone)
        opens_at = next(CronSim(self.cron, after), None)
        return opens_at is not None and opens_at <= at + timedelta(seconds=early_s)


@dataclass(frozen=True, kw_only=True, slots=True)
class Warm:
    """How many servers an environment keeps ready in each of some sizes."""

    keep: int
    """The least number, outside all windows. 0 keeps servers only in windows."""
    most: int
    """The largest number that demand can raise it to."""
    max_age_s: float
    """The maximum age of a waiting server, in seconds since its start."""
    sizes: tuple[str, ...] = ()
    """The names of the sizes, each of which has a pool of its own. Empty if the environment has no sizes."""
    windows: tuple[Window, ...] = ()

    def floor(self, at: datetime, *, fill_s: Callable[[int], float]) -> int:
        """Return the number to keep at this time whatever the demand. Windows count early enough to be full in time.

        `fill_s` returns how many seconds it takes to start this many servers.
        """
        open_now = [each.keep for each in self.windows if each.is_open(at, early_s=fill_s(each.keep))]
        return max([self.keep, *open_now])


def check_cron(cron: str) -> None:
    """Raise ValueError, with a reason, unless this is a cron expression of five fields that has a next time."""
    if len(cron) > CRON_MAX or len(cron.split()) != 5:
        raise ValueError("must be a cron expression of five fields such as 45 8 * * mon")
    try:
        found = next(CronSim(cron, datetime(2000, 1, 1)), None)  # noqa: DTZ001 - whether there is any time at all
    except CronSimError as error:
        raise ValueError(f"must be a cron expression such as 45 8 * * mon ({str(error).lower()})") from None
    if found is None:
        raise ValueError("must be a cron expression whose date exists")


def check_timezone(timezone: str) -> None:
    """Raise ValueError, with a reason, unless the database of time zones has this name."""
    try:
        ZoneInfo(timezone)
    except (ValueError, OSError, LookupError):  # a path, a directory, or no such name
        raise ValueError("must be a time zone such as Europe/Oslo") from None
