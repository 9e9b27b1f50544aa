"""How long the server of a launch may run, and how far it can be extended."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from hublaunch.launch.model import Launch, Status


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionTerms:
    """The operator's limits on the time that a server runs, in seconds since it became ready."""

    most_s: float | None = None
    """Without an extension; None means no limit."""
    most_extended_s: float | None = None
    """With all extensions; None allows no extension."""

    @property
    def longest_s(self) -> float:
        """The longest time that a server can run; 0 if there is no limit."""
        return 0 if self.most_s is None else max(self.most_s, self.most_extended_s or 0)

    def latest_end(self, ready_at: datetime) -> datetime | None:
        """Return the latest end that extensions can reach; None if they are not allowed."""
        return None if self.most_extended_s is None else ready_at + timedelta(seconds=self.most_extended_s)

    def extendable_until(self, launch: Launch) -> datetime | None:
        """Return the latest end that extensions of this launch can reach; None if it can no longer be extended."""
        if launch.status is not Status.READY or launch.will_end_at is None or launch.ended_at is None:
            return None
        latest = self.latest_end(launch.ended_at)
        return latest if latest is not None and latest > launch.will_end_at else None
