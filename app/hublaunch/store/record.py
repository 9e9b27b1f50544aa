"""Everything that the database has on one launch, for `hublaunch show`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, select

from hublaunch.launch.model import Attempt, Event, Launch
from hublaunch.launch.ports import NotedCalls
from hublaunch.store import hub_calls
from hublaunch.store.reads import events, get
from hublaunch.store.rows import ATTEMPT_COLUMNS, attempt_of
from hublaunch.store.tables import launch_attempts, launch_owners, launches

_ATTEMPTS = (
    select(*ATTEMPT_COLUMNS)
    .where(launch_attempts.c.launch_id == bindparam("launch_id"))
    .order_by(launch_attempts.c.number)
)
_OWNER = (
    select(launches.c.owner, launch_owners.c.leased_until)
    .outerjoin(launch_owners, launch_owners.c.id == launches.c.owner)
    .where(launches.c.id == bindparam("launch_id"))
)


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredAttempt:
    """An attempt, and whether it is cleaned up at the Hub."""

    attempt: Attempt
    started_at: datetime
    cleaned_at: datetime | None
    """When everything that it created was deleted."""
    clean_at: datetime | None
    """When it is due for clean-up; None while it is in use and once it is cleaned up."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LaunchRecord:
    """A launch with all its attempts, events and notable calls to the Hub."""

    launch: Launch
    attempts: Sequence[StoredAttempt]
    events: Sequence[Event]
    hub_calls: Sequence[NotedCalls]
    """The calls to the Hub that failed or were slow, in the order in which the first of each kind ended."""
    owner: str | None
    """The process that has the launch, or had it last; None once the launch is ready."""
    leased_until: datetime | None
    """When the lease of that process runs out; None if the process has ended or has lost it."""


def record_of(connection: Connection, launch_id: str) -> LaunchRecord | None:
    """Return the record of a launch, or None if the id is unknown."""
    launch = get(connection, launch_id)
    if launch is None:
        return None
    owner = connection.execute(_OWNER, {"launch_id": launch_id}).one()
    return LaunchRecord(
        launch=launch,
        attempts=[
            StoredAttempt(
                attempt=attempt_of(row),
                started_at=row.attempt_started_at,
                cleaned_at=row.attempt_cleaned_at,
                clean_at=row.attempt_clean_at,
            )
            for row in connection.execute(_ATTEMPTS, {"launch_id": launch_id})
        ],
        events=events(connection, launch_id, 0),
        hub_calls=hub_calls.of_launch(connection, launch_id),
        owner=owner.owner,
        leased_until=owner.leased_until,
    )
