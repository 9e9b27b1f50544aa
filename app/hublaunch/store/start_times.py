"""The last starts of each image that became ready, for estimates."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, insert, select

from hublaunch.launch.rules.estimate import STARTS_KEPT, Start
from hublaunch.store.tables import start_times

_INSERT = insert(start_times)
_LAST = (
    select(start_times.c.seconds, start_times.c.pulled)
    .where(start_times.c.image == bindparam("of_image"))
    .order_by(start_times.c.ready_at.desc(), start_times.c.launch_id.desc())
    .limit(STARTS_KEPT)
)
_kept = start_times.alias("kept")
_OLDEST_KEPT = (
    select(_kept.c.ready_at)
    .where(_kept.c.image == bindparam("of_image"))
    .order_by(_kept.c.ready_at.desc(), _kept.c.launch_id.desc())
    .offset(STARTS_KEPT - 1)
    .limit(1)
    .scalar_subquery()
)
_PRUNE = delete(start_times).where(start_times.c.image == bindparam("of_image"), start_times.c.ready_at < _OLDEST_KEPT)
"""Deletes nothing while an image has fewer starts. A start that another process stores meanwhile is never too many:
the next one removes the excess, and reads take the last ones."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StartTime:
    """A row of `start_times`."""

    launch_id: str
    image: str
    ready_at: datetime
    seconds: float
    pulled: bool


def record(connection: Connection, started: Sequence[StartTime]) -> None:
    """Store the starts of launches that became ready, and remove those that no longer count."""
    connection.execute(_INSERT, [asdict(one) for one in started])
    connection.execute(_PRUNE, [{"of_image": image} for image in sorted({one.image for one in started})])


def last(connection: Connection, image: str) -> Sequence[Start]:
    """Return the last starts of an image, newest first."""
    return [Start(seconds=row.seconds, pulled=row.pulled) for row in connection.execute(_LAST, {"of_image": image})]
