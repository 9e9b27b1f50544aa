"""What is written. Each function makes one kind of change, as often as is asked of it at once, in few statements.

The transaction is not its own: when it raises, that is rolled back, and it is called again for each change alone.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any, TypeVar

from sqlalchemy import Connection, bindparam, func, insert, select, update

from hublaunch.launch.errors import LaunchNotFound
from hublaunch.launch.model import Attempt, Event, Status, Step
from hublaunch.launch.ports import LeaseLost
from hublaunch.launch.rules.guard import known_as
from hublaunch.store import outcomes
from hublaunch.store.pg import WORK, is_shared, notify, now
from hublaunch.store.rows import attempt_row, event_row
from hublaunch.store.tables import Instant, launch_attempts, launch_events, launches

A = TypeVar("A")
T = TypeVar("T")

_NOW = bindparam("now", type_=Instant)

_INSERT_ATTEMPT = insert(launch_attempts)
_INSERT_EVENT = insert(launch_events)

# What an UPDATE is bound to must not have the name of a column: such a name is what it sets.
_UPDATE_LAUNCH = update(launches).where(launches.c.id == bindparam("of_launch"))
_REQUEST_CANCEL = _UPDATE_LAUNCH.where(launches.c.cancel_requested_at.is_(None)).values(cancel_requested_at=_NOW)
_FORGET_ARGS = update(launches).where(launches.c.id.in_(bindparam("launch_ids", expanding=True))).values(extra_args={})
"""They are for the spawner, up to 16 KiB, and nothing asks for them once a launch has ended."""
_EXISTS = select(launches.c.id).where(launches.c.id == bindparam("launch_id"))
_UPDATE_ATTEMPT = update(launch_attempts).where(
    launch_attempts.c.launch_id == bindparam("of_launch"), launch_attempts.c.number == bindparam("of_number")
)
_MARK_CLEANED = _UPDATE_ATTEMPT.values(cleaned_at=func.coalesce(launch_attempts.c.cleaned_at, _NOW))
_MAKE_DUE = _UPDATE_ATTEMPT.where(launch_attempts.c.cleaned_at.is_(None))
_LOGS = (
    select(
        launches.c.id,
        launches.c.status,
        launches.c.attempt,
        launches.c.last_seq,
        launches.c.fence,
        launches.c.owner,
        launches.c.launching_at,
        launches.c.admitted_at,
        launches.c.image,
        launch_events.c.at,
        launch_events.c.progress,
    )
    .join(launch_events, (launch_events.c.launch_id == launches.c.id) & (launch_events.c.seq == launches.c.last_seq))
    .where(launches.c.id.in_(bindparam("launch_ids", expanding=True)))
    .order_by(launches.c.id)
    .with_for_update(of=launches)
)


@dataclass(frozen=True, slots=True)
class Append:
    """A step to be stored of a launch by whoever has it with this fence; its token is sealed already."""

    launch_id: str
    fence: int
    step: Step
    sealed_token: bytes | None


@dataclass(frozen=True, slots=True)
class NextAttempt:
    attempt: Attempt
    fence: int


@dataclass(frozen=True, slots=True)
class Cleaned:
    """An attempt of which nothing is left at the Hub; perhaps to be looked at again."""

    attempt: Attempt
    fence: int
    again_in_s: float | None


@dataclass(frozen=True, slots=True)
class Stop:
    """A launch whose server is gone, who ended it, and when what it left is due to be cleaned up."""

    launch_id: str
    fence: int
    stopped_by: str
    clean_in_s: float | None


def check_fence(launch_id: str, fence: int, *, held: int) -> None:
    """LeaseLost if the launch has changed hands since the writer got it."""
    if fence != held:
        raise LeaseLost(f"launch {launch_id} is another process's now")


def _each(write: Callable[[Connection, A], T]) -> Callable[[Connection, Sequence[A]], Sequence[T]]:
    """One after the other, for what is rare."""

    @wraps(write)
    def write_each(connection: Connection, arguments: Sequence[A]) -> Sequence[T]:
        return [write(connection, argument) for argument in arguments]

    return write_each


@_each
def begin_attempt(connection: Connection, following: NextAttempt) -> None:
    """Store the next attempt. ValueError if it is not the next, or the launch is not under way; LeaseLost."""
    attempt = following.attempt
    log = _log(connection, attempt.launch_id, following.fence)
    if log.status not in (Status.WAITING, Status.LAUNCHING) or log.attempt != attempt.number - 1:
        raise ValueError(f"attempt {attempt.number} cannot be the next of launch {attempt.launch_id}")
    connection.execute(_UPDATE_LAUNCH.values(attempt=attempt.number), {"of_launch": attempt.launch_id})
    connection.execute(_INSERT_ATTEMPT, attempt_row(attempt, datetime.now(UTC)))


def append(connection: Connection, appends: Sequence[Append]) -> Sequence[Event]:
    """Store steps as events. ValueError if a launch may not go into a step's phase; LaunchNotFound, LeaseLost."""
    logs = _logs(connection, {append.launch_id for append in appends})
    events = [logs[append.launch_id].append(append) for append in appends]
    connection.execute(_INSERT_EVENT, [event_row(event) for event in events])
    if turned := [log.turned_row() for log in logs.values() if log.has_turned]:
        connection.execute(_UPDATE_LAUNCH, turned)
    if grown := [log.grown_row() for log in logs.values() if not log.has_turned]:
        # SQLite writes each index anew that has a column of an UPDATE in its condition, changed or not.
        connection.execute(_UPDATE_LAUNCH, grown)
    if started := [_started(append, logs) for append in appends if append.step.server_started_at]:
        connection.execute(_UPDATE_ATTEMPT, started)
    if ended := [log.launch_id for log in logs.values() if log.status in (Status.FAILED, Status.CANCELLED)]:
        connection.execute(_FORGET_ARGS, {"launch_ids": ended})
    if due := [log.attempt_key() for log in logs.values() if log.status in (Status.FAILED, Status.CANCELLED)]:
        at = now(connection)
        connection.execute(_MAKE_DUE, [{**key, "clean_at": at} for key in due])
    notify(connection, [f"{log.launch_id} {log.seq}" for log in logs.values()])
    if spawned := [outcome for append in appends if (outcome := _outcome(append.step, logs[append.launch_id]))]:
        outcomes.record(connection, spawned)
    return events


def _outcome(step: Step, log: "_Log") -> outcomes.Outcome | None:
    """How the spawn ended, if that is what the step tells of a launch that was let through to the Hub."""
    if log.admitted_at is None or not (step.phase is Status.READY or step.failed_spawn):
        return None
    return outcomes.Outcome(log.launch_id, known_as(log.image), log.admitted_at, step.failed_spawn)


def _started(append: Append, logs: Mapping[str, "_Log"]) -> dict[str, Any]:
    number = logs[append.launch_id].attempt
    return {
        "of_launch": append.launch_id,
        "of_number": number,
        "server_started_at": append.step.server_started_at,
    }


@_each
def request_cancel(connection: Connection, launch_id: str) -> bool:
    """Note when a cancellation was first requested, and tell whether this was it. LaunchNotFound."""
    noted = connection.execute(_REQUEST_CANCEL, {"of_launch": launch_id, "now": datetime.now(UTC)})
    is_first = noted.rowcount == 1
    if not is_first and connection.execute(_EXISTS, {"launch_id": launch_id}).first() is None:
        raise LaunchNotFound
    notify(connection, [WORK])
    return is_first


@_each
def mark_cleaned(connection: Connection, cleaned: Cleaned) -> bool:
    """Note when the attempt was first found to have left nothing at the Hub. LaunchNotFound, LeaseLost.

    True if the launch did not stand on this attempt any more.
    """
    attempt, at = cleaned.attempt, now(connection)
    log = _log(connection, attempt.launch_id, cleaned.fence)
    key = {"of_launch": attempt.launch_id, "of_number": attempt.number, "now": at}
    if connection.execute(_MARK_CLEANED, {**key, "clean_at": _after(at, cleaned.again_in_s)}).rowcount != 1:
        raise LaunchNotFound
    return log.attempt != attempt.number or log.status not in (Status.WAITING, Status.LAUNCHING)


@_each
def mark_stopped(connection: Connection, stop: Stop) -> None:
    """A ready launch becomes stopped. ValueError if it is not ready; LaunchNotFound, LeaseLost."""
    log, at = _log(connection, stop.launch_id, stop.fence), now(connection)
    if log.status is not Status.READY:
        raise ValueError(f"launch {stop.launch_id} is {log.status}, so it cannot become stopped")
    stopped = {"status": Status.STOPPED.value, "stopped_at": at, "stopped_by": stop.stopped_by}
    connection.execute(_UPDATE_LAUNCH, {"of_launch": stop.launch_id, **stopped})
    connection.execute(_FORGET_ARGS, {"launch_ids": [stop.launch_id]})
    key = log.attempt_key()
    if stop.clean_in_s is None:
        connection.execute(_MARK_CLEANED, {**key, "now": at, "clean_at": None})
    else:
        connection.execute(_MAKE_DUE, {**key, "clean_at": _after(at, stop.clean_in_s)})


def _after(at: datetime, seconds: float | None) -> datetime | None:
    return None if seconds is None else at + timedelta(seconds=seconds)


@dataclass(slots=True)
class _Log:
    """The end of a launch's log, as it is with the events that have been appended to it here."""

    launch_id: str
    status: Status
    attempt: int
    seq: int
    fence: int
    owner: str | None
    launching_at: datetime | None
    admitted_at: datetime | None
    image: str
    at: datetime
    progress: int
    ended_at: datetime | None = None
    has_turned: bool = False
    """Whether more of the launch has changed than where its log ends."""

    def append(self, append: Append) -> Event:
        check_fence(self.launch_id, append.fence, held=self.fence)
        step = append.step
        if step.phase is Status.STOPPED or not self.status.may_become(step.phase):
            raise ValueError(f"launch {self.launch_id} is {self.status}, so it cannot become {step.phase}")
        self.has_turned = self.has_turned or step.phase is not self.status
        self.status, self.seq, self.at = step.phase, self.seq + 1, max(self.at, datetime.now(UTC))
        self.ended_at = self.at if self.status.ends_stream else None
        self.progress = self.progress if step.progress is None else step.progress
        if self.status is Status.LAUNCHING and self.launching_at is None:
            self.launching_at = self.at
        if self.status is Status.READY:
            self.owner = None
        return Event(
            launch_id=self.launch_id,
            seq=self.seq,
            at=self.at,
            attempt=self.attempt,
            phase=step.phase,
            progress=self.progress,
            message=step.message,
            url=step.url,
            sealed_token=append.sealed_token,
            token_expires_at=step.token_expires_at,
            problem=step.problem,
        )

    def grown_row(self) -> dict[str, Any]:
        return {"of_launch": self.launch_id, "last_seq": self.seq}

    def turned_row(self) -> dict[str, Any]:
        return self.grown_row() | {
            "status": self.status.value,
            "owner": self.owner,
            "launching_at": self.launching_at,
            "ended_at": self.ended_at,
        }

    def attempt_key(self) -> dict[str, Any]:
        return {"of_launch": self.launch_id, "of_number": self.attempt}


def _log(connection: Connection, launch_id: str, fence: int) -> _Log:
    """Where the log of a launch ends, which nobody else changes until the end of this transaction."""
    log = _logs(connection, {launch_id})[launch_id]
    check_fence(launch_id, fence, held=log.fence)
    return log


def _logs(connection: Connection, launch_ids: Collection[str]) -> dict[str, _Log]:
    """As above, for several. LaunchNotFound if one is missing."""
    rows = connection.execute(_LOGS, {"launch_ids": list(launch_ids)}).all()
    if len(rows) != len(launch_ids) and is_shared(connection):
        # Its lock had to wait for somebody who appended, and it does not see that last event: it saw the events before
        # the wait. Another statement does.
        rows = connection.execute(_LOGS, {"launch_ids": list(launch_ids)}).all()
    logs = {
        row.id: _Log(
            launch_id=row.id,
            status=Status(row.status),
            attempt=row.attempt,
            seq=row.last_seq,
            fence=row.fence,
            owner=row.owner,
            launching_at=row.launching_at,
            admitted_at=row.admitted_at,
            image=row.image,
            at=row.at,
            progress=row.progress,
        )
        for row in rows
    }
    if len(logs) != len(launch_ids):
        raise LaunchNotFound
    return logs
