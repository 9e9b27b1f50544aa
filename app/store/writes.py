"""What is written. Each function makes one kind of change, as often as is asked of it at once, in few statements.

The transaction is not its own: when it raises, that is rolled back, and it is called again for each change alone.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from typing import Any, TypeVar

from sqlalchemy import Connection, bindparam, func, insert, select, update

from app.launch.errors import AlreadyLaunching, LaunchNotFound, QuotaReached
from app.launch.model import Attempt, Caller, Event, Launch, Status, Step
from app.store.rows import attempt_row, event_row, launch_row
from app.store.tables import IS_ACTIVE, Instant, launch_attempts, launch_events, launches

A = TypeVar("A")

_NOW = bindparam("now", type_=Instant)

_INSERT_LAUNCH = insert(launches)
_INSERT_ATTEMPT = insert(launch_attempts)
_INSERT_EVENT = insert(launch_events)

# What an UPDATE is bound to must not have the name of a column: such a name is what it sets.
_UPDATE_LAUNCH = update(launches).where(launches.c.id == bindparam("of_launch"))
_NEXT_ATTEMPT = _UPDATE_LAUNCH.where(
    launches.c.attempt == bindparam("next_number") - 1,
    launches.c.status.in_([Status.WAITING.value, Status.LAUNCHING.value]),
).values(attempt=bindparam("next_number"))
_REQUEST_CANCEL = _UPDATE_LAUNCH.values(cancel_requested_at=func.coalesce(launches.c.cancel_requested_at, _NOW))
_MARK_STOPPED = _UPDATE_LAUNCH.where(launches.c.status == Status.READY.value).values(status=Status.STOPPED.value)
_MARK_CLEANED = (
    update(launch_attempts)
    .where(launch_attempts.c.launch_id == bindparam("of_launch"), launch_attempts.c.number == bindparam("of_number"))
    .values(cleaned_at=func.coalesce(launch_attempts.c.cleaned_at, _NOW))
)
_COUNT_ACTIVE = select(func.count()).where(
    launches.c.caller_kind == bindparam("caller_kind"), launches.c.caller_key == bindparam("caller_key"), IS_ACTIVE
)
_UNDER_WAY_FOR = (
    select(launches.c.id)
    .join(
        launch_attempts,
        (launch_attempts.c.launch_id == launches.c.id) & (launch_attempts.c.number == launches.c.attempt),
    )
    .where(
        launches.c.ended_at.is_(None),
        launch_attempts.c.username == bindparam("username"),
        launch_attempts.c.server_name == bindparam("server_name"),
    )
    .limit(1)
)
_LOGS = (
    select(launches.c.id, launches.c.status, launches.c.attempt, launches.c.last_seq, launch_events.c.at)
    .join(launch_events, (launch_events.c.launch_id == launches.c.id) & (launch_events.c.seq == launches.c.last_seq))
    .where(launches.c.id.in_(bindparam("launch_ids", expanding=True)))
)


@dataclass(frozen=True, slots=True)
class Append:
    """A step to be stored; its token is sealed already."""

    launch_id: str
    step: Step
    sealed_token: bytes | None


@dataclass(frozen=True, slots=True)
class Stop:
    """A launch whose server is gone, and who ended it."""

    launch_id: str
    stopped_by: str


def _each(write: Callable[[Connection, A], None]) -> Callable[[Connection, Sequence[A]], Sequence[None]]:
    """One after the other, for what is rare."""

    @wraps(write)
    def write_each(connection: Connection, arguments: Sequence[A]) -> Sequence[None]:
        for argument in arguments:
            write(connection, argument)
        return [None] * len(arguments)

    return write_each


def accept(connection: Connection, accepted: Sequence[Launch]) -> Sequence[Event]:
    """Store launches, each with its attempt and its first event; the events are returned.

    QuotaReached, AlreadyLaunching.
    """
    _check_quotas(connection, accepted)
    _check_servers(connection, accepted)
    attempts = [attempt_row(launch.attempt, launch.created_at, launch.cleaned_at) for launch in accepted]
    events = [launch.last_event for launch in accepted]
    connection.execute(_INSERT_LAUNCH, [launch_row(launch) for launch in accepted])
    connection.execute(_INSERT_ATTEMPT, attempts)
    connection.execute(_INSERT_EVENT, [event_row(event) for event in events])
    return events


def _check_quotas(connection: Connection, accepted: Sequence[Launch]) -> None:
    """The writer is alone in the database, so nothing can come between the count and what is stored after it."""
    before: Counter[Caller] = Counter()
    for launch in accepted:
        caller = launch.caller
        if caller.max_active is not None:
            key = {"caller_kind": caller.kind, "caller_key": caller.key}
            if connection.execute(_COUNT_ACTIVE, key).scalar_one() + before[caller] >= caller.max_active:
                raise QuotaReached(caller.max_active)
            before[caller] += 1


def _check_servers(connection: Connection, accepted: Sequence[Launch]) -> None:
    """As above. A temporary user is new, and so is each of its servers."""
    before: set[tuple[str, str]] = set()
    for launch in accepted:
        if launch.attempt.creates_user:
            continue
        server = launch.attempt.username, launch.attempt.server_name
        key = {"username": server[0], "server_name": server[1]}
        if server in before or connection.execute(_UNDER_WAY_FOR, key).first():
            raise AlreadyLaunching
        before.add(server)


@_each
def begin_attempt(connection: Connection, attempt: Attempt) -> None:
    """Store the next attempt. ValueError if it is not the next, or the launch is not under way."""
    key = {"of_launch": attempt.launch_id, "next_number": attempt.number}
    if connection.execute(_NEXT_ATTEMPT, key).rowcount != 1:
        raise ValueError(f"attempt {attempt.number} cannot be the next of launch {attempt.launch_id}")
    connection.execute(_INSERT_ATTEMPT, attempt_row(attempt, datetime.now(UTC)))


def append(connection: Connection, appends: Sequence[Append]) -> Sequence[Event]:
    """Store steps as events. ValueError if a launch may not go into a step's phase; LaunchNotFound."""
    logs = _logs(connection, {append.launch_id for append in appends})
    events = [logs[append.launch_id].append(append) for append in appends]
    connection.execute(_INSERT_EVENT, [event_row(event) for event in events])
    connection.execute(_UPDATE_LAUNCH, [log.row() for log in logs.values()])
    return events


@_each
def request_cancel(connection: Connection, launch_id: str) -> None:
    """Note when a cancellation was first requested. LaunchNotFound."""
    if connection.execute(_REQUEST_CANCEL, {"of_launch": launch_id, "now": datetime.now(UTC)}).rowcount != 1:
        raise LaunchNotFound


@_each
def mark_cleaned(connection: Connection, attempt: Attempt) -> None:
    """Note when the attempt was first found to have left nothing at the Hub. LaunchNotFound."""
    key = {"of_launch": attempt.launch_id, "of_number": attempt.number}
    if connection.execute(_MARK_CLEANED, {**key, "now": datetime.now(UTC)}).rowcount != 1:
        raise LaunchNotFound


@_each
def mark_stopped(connection: Connection, stop: Stop) -> None:
    """A ready launch becomes stopped. ValueError if it is not ready."""
    stopped = {"of_launch": stop.launch_id, "stopped_at": datetime.now(UTC), "stopped_by": stop.stopped_by}
    if connection.execute(_MARK_STOPPED, stopped).rowcount != 1:
        raise ValueError(f"launch {stop.launch_id} is not ready, so it cannot become stopped")


@dataclass(slots=True)
class _Log:
    """The end of a launch's log, as it is with the events that have been appended to it here."""

    launch_id: str
    status: Status
    attempt: int
    seq: int
    at: datetime
    ended_at: datetime | None = None

    def append(self, append: Append) -> Event:
        step = append.step
        if step.phase is Status.STOPPED or not self.status.may_become(step.phase):
            raise ValueError(f"launch {self.launch_id} is {self.status}, so it cannot become {step.phase}")
        self.status, self.seq, self.at = step.phase, self.seq + 1, max(self.at, datetime.now(UTC))
        self.ended_at = self.at if self.status.ends_stream else None
        return Event(
            launch_id=self.launch_id,
            seq=self.seq,
            at=self.at,
            attempt=self.attempt,
            phase=step.phase,
            progress=step.progress,
            message=step.message,
            url=step.url,
            sealed_token=append.sealed_token,
            token_expires_at=step.token_expires_at,
            problem=step.problem,
        )

    def row(self) -> dict[str, Any]:
        return {
            "of_launch": self.launch_id,
            "status": self.status.value,
            "last_seq": self.seq,
            "ended_at": self.ended_at,
        }


def _logs(connection: Connection, launch_ids: AbstractSet[str]) -> dict[str, _Log]:
    """Where the logs of these launches end. LaunchNotFound if one is missing."""
    rows = connection.execute(_LOGS, {"launch_ids": list(launch_ids)})
    logs = {row.id: _Log(row.id, Status(row.status), row.attempt, row.last_seq, row.at) for row in rows}
    if len(logs) != len(launch_ids):
        raise LaunchNotFound
    return logs
