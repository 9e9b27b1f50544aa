"""The Hub guard's data: failed spawns, images that were ready, and the name of the Hub."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import (
    BindParameter,
    Connection,
    Executable,
    Integer,
    bindparam,
    case,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from hublaunch.launch.model import FailedSpawn
from hublaunch.launch.rules.guard import FAILING_FOR, PROVEN_FOR, Failing, Failure, Guard
from hublaunch.store.coordination import now
from hublaunch.store.tables import IS_LATEST, Instant, admission, images, launch_attempts, launches, spawn_failures

_AT = bindparam("instant", type_=Instant)
_SINCE = bindparam("since", type_=Instant)
_GROWN = bindparam("further", type_=Integer)

_SOUND_SINCE = case(
    (admission.c.sound_since.is_(None) | (admission.c.sound_since < _AT), _AT), else_=admission.c.sound_since
)
_SUCCEEDED = update(admission).values(sound_since=_SOUND_SINCE, grown=admission.c.grown + _GROWN)
_SUCCEEDED_AFTER_A_FAILURE = update(admission).values(sound_since=_SOUND_SINCE, grown=_GROWN)
_FAILED = update(admission).values(grown=_GROWN)
_INSERT_FAILURE = insert(spawn_failures)


def _upsert_image(**values: BindParameter[datetime]) -> Mapping[str, Executable]:
    """Return, by dialect, the statement that sets these values of an image, whether or not it has a row."""
    return {
        dialect: dialect_insert(images)
        .values(image=bindparam("of_image"), **values)
        .on_conflict_do_update(index_elements=["image"], set_=values)
        for dialect, dialect_insert in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
    }


_PROVE = _upsert_image(ready_at=_AT, sound_since=_AT)
_TRUST = _upsert_image(sound_since=_AT)

_RUN = select(
    admission.c.paused_until,
    admission.c.draining_since,
    admission.c.grown,
    select(func.count())
    .where(admission.c.sound_since.is_(None) | (spawn_failures.c.at > admission.c.sound_since))
    .select_from(spawn_failures)
    .scalar_subquery()
    .label("failures"),
)
_PROVEN = select(images.c.image).where(
    images.c.ready_at > _SINCE, images.c.image.in_(bindparam("of_images", expanding=True))
)
_BLAMED = (
    select(
        spawn_failures.c.image,
        spawn_failures.c.at,
        spawn_failures.c.cause,
        launches.c.caller_kind,
        launches.c.caller_key,
        launch_attempts.c.creates_user,
    )
    .outerjoin(images, images.c.image == spawn_failures.c.image)
    .join(launches, launches.c.id == spawn_failures.c.launch_id)
    .join(launch_attempts, IS_LATEST)
    .where(
        spawn_failures.c.cause.is_not(None),
        spawn_failures.c.at > _SINCE,
        images.c.image.is_(None) | (spawn_failures.c.at > images.c.sound_since),
    )
    .order_by(spawn_failures.c.at)
)
_RENEW = update(admission).values(sound_since=_SOUND_SINCE, grown=0, paused_until=None)
_HUB = select(admission.c.hub)
_NOTE_HUB = update(admission).values(hub=bindparam("is_hub"))
_FORGET_FAILURES = delete(spawn_failures).where(
    spawn_failures.c.at < _SINCE,
    spawn_failures.c.at <= select(admission.c.sound_since).scalar_subquery(),
)
_FORGET_IMAGES = delete(images).where(images.c.sound_since < _SINCE)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the spawn of a launch ended. `failed` is None if the server is ready."""

    launch_id: str
    image: str
    admitted_at: datetime
    failed: FailedSpawn | None


@dataclass(frozen=True, slots=True)
class Run:
    """The most failures in a row that the Hub can have counted, and why nothing may be admitted."""

    failures: int
    grown: int
    paused_until: datetime | None
    """The end of the pause that the Hub asked for."""
    is_draining: bool
    """Whether an operator is holding the queue."""


def record(connection: Connection, outcomes: Sequence[Outcome], at: datetime) -> None:
    """Note how spawns ended, in the order in which this process learned of them. `at`: the database's time.

    A success ends the run of only those failures that were noted before its launch was admitted. A later failure may
    have come after the success at the Hub.
    """
    ready = [outcome for outcome in outcomes if outcome.failed is None]
    if ready:
        prove = _PROVE[connection.dialect.name]
        connection.execute(prove, [{"of_image": image, "instant": at} for image in sorted({o.image for o in ready})])
    failures = [
        {"launch_id": outcome.launch_id, "image": outcome.image, "at": at, "cause": outcome.failed.cause}
        for outcome in outcomes
        if outcome.failed is not None
    ]
    if failures:
        connection.execute(_INSERT_FAILURE, failures)
    further = len(outcomes) - 1 - max((n for n, o in enumerate(outcomes) if o.failed is not None), default=-1)
    if not ready:
        connection.execute(_FAILED, {"further": 0})
    else:
        succeeded = _SUCCEEDED_AFTER_A_FAILURE if failures else _SUCCEEDED
        admitted_at = max(outcome.admitted_at for outcome in ready)
        connection.execute(succeeded, {"instant": admitted_at, "further": further})


def run(connection: Connection) -> Run:
    """Return the current run of failures."""
    row = connection.execute(_RUN).one()
    return Run(
        failures=row.failures,
        grown=row.grown,
        paused_until=row.paused_until,
        is_draining=row.draining_since is not None,
    )


def proven(connection: Connection, of_images: Collection[str]) -> set[str]:
    """Return the given images that were ready recently."""
    key = {"since": now(connection) - PROVEN_FOR, "of_images": list(of_images)}
    return {row.image for row in connection.execute(_PROVEN, key)}


def blamed(connection: Connection) -> Sequence[Failure]:
    """Return the failures that count against images, oldest first."""
    rows = connection.execute(_BLAMED, {"since": now(connection) - FAILING_FOR})
    return [
        Failure(
            image=row.image,
            at=row.at,
            cause=row.cause,
            caller=f"{row.caller_kind}:{row.caller_key}",
            on_account=not row.creates_user,
        )
        for row in rows
    ]


def failing(connection: Connection, guard: Guard) -> Mapping[str, Failing]:
    """Return the images that are refused, and why."""
    failures = blamed(connection)
    return guard.failing(failures, proven=proven(connection, {failure.image for failure in failures}))


def clear(connection: Connection, image: str | None) -> None:
    """Admit an image again. With None, count failures from zero, because an operator says that the Hub does."""
    at = now(connection)
    if image is None:
        connection.execute(_RENEW, {"instant": at})
    else:
        connection.execute(_TRUST[connection.dialect.name], {"of_image": image, "instant": at})


def note_hub(connection: Connection, hub: str, before_s: float) -> bool:
    """Note the Hub's name. Return whether the Hub was restarted, and so counts from zero."""
    known = connection.execute(_HUB).scalar_one()
    if known == hub:
        return False
    connection.execute(_NOTE_HUB, {"is_hub": hub})
    if known is None:
        return False
    connection.execute(_RENEW, {"instant": now(connection) - timedelta(seconds=before_s)})
    return True


def forget(connection: Connection) -> None:
    """Remove failures and images that no longer count."""
    since = now(connection) - PROVEN_FOR
    connection.execute(_FORGET_FAILURES, {"since": since})
    connection.execute(_FORGET_IMAGES, {"since": since})
