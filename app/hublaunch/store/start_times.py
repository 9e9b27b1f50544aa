"""How long the last starts took, from the admission until the server was ready, and how long the Hub was silent."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select

from hublaunch.launch.rules.estimate import STARTS_MAX, Start
from hublaunch.launch.rules.guard import known_as
from hublaunch.launch.rules.image import ImageReference
from hublaunch.launch.rules.stall import SILENCES_MAX
from hublaunch.store.tables import start_times

Kind = tuple[str, str]
"""A kind of start: the name of the image (`kept_as`), and the size or `""`. Only starts of one kind are compared."""

_INSERT = insert(start_times)
LAST = (
    select(start_times.c.seconds, start_times.c.pulled)
    .where(start_times.c.image == bindparam("of_image"), start_times.c.size == bindparam("of_size"))
    .order_by(start_times.c.ready_at.desc(), start_times.c.launch_id.desc())
    .limit(STARTS_MAX)
)
"""The last starts of an image in one size. An index has them in this order, so no others are read."""
SILENCES = (
    select(start_times.c.silence_s)
    .where(start_times.c.silence_s.is_not(None))
    .order_by(start_times.c.ready_at.desc())
    .limit(SILENCES_MAX)
)
"""The longest silences of the last starts of all images. An index has them in this order, too."""


@lru_cache(maxsize=4096)
def kept_as(image: str, digest: str | None) -> str:
    """Return the name that an image's starts are kept under: with its digest if the registry gave one."""
    if digest is None:
        return known_as(image)
    return str(replace(ImageReference.parse(image), tag=None, digest=digest))


def record(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Note the starts of launches that are ready now."""
    connection.execute(_INSERT, rows)


def last(connection: Connection, kinds: Collection[Kind]) -> Mapping[Kind, Sequence[Start]]:
    """Return the last starts of each of these kinds, newest first."""
    return {kind: connection.execute(LAST, {"of_image": kind[0], "of_size": kind[1]}).all() for kind in kinds}


def silences(connection: Connection) -> Sequence[float]:
    """Return the longest silences of the last starts, newest first."""
    return connection.execute(SILENCES).scalars().all()
