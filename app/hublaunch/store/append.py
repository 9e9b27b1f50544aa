"""Appending events to the logs of launches: many at once, in few statements."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from hublaunch.launch.errors import LaunchNotFound
from hublaunch.launch.model import Event, Stage, Status, Step
from hublaunch.launch.ports import LeaseLost
from hublaunch.launch.rules.estimate import Estimate, Start, estimate
from hublaunch.launch.rules.guard import known_as
from hublaunch.store import spawn_history, start_times
from hublaunch.store.coordination import is_shared, notify, now
from hublaunch.store.rows import estimate_column, event_row
from hublaunch.store.tables import IS_LAST, launch_attempts, launch_events, launches

_INSERT_EVENT = insert(launch_events)

# A parameter of an UPDATE must not have the name of a column: SQLAlchemy would set that column.
UPDATE_LAUNCH = update(launches).where(launches.c.id == bindparam("of_launch"))
UPDATE_ATTEMPT = update(launch_attempts).where(
    launch_attempts.c.launch_id == bindparam("of_launch"), launch_attempts.c.number == bindparam("of_number")
)
MAKE_DUE = UPDATE_ATTEMPT.where(launch_attempts.c.cleaned_at.is_(None))
FORGET_ARGS = (
    update(launches)
    .where(launches.c.id.in_(bindparam("launch_ids", expanding=True)))
    .values(extra_args={}, size_options=None)
)
"""The spawner's arguments, up to 16 KiB, are not needed once a launch has ended."""
_ENDS = (
    select(
        launches.c.id.label("launch_id"),
        launches.c.last_seq.label("seq"),
        *(launches.c[name] for name in ("status", "attempt", "fence", "owner", "launching_at", "admitted_at")),
        *(launches.c[name] for name in ("image", "image_digest", "size", "has_pulled", "silence_s")),
        *(launch_events.c[name] for name in ("at", "progress", "stalled_since")),
    )
    .join(launch_events, IS_LAST)
    .where(launches.c.id.in_(bindparam("launch_ids", expanding=True)))
    .order_by(launches.c.id)
    .with_for_update(of=launches)
)


@dataclass(frozen=True, slots=True)
class Append:
    """A step to store for a launch, the fence under which its owner writes, and the step's token, sealed."""

    launch_id: str
    fence: int
    step: Step
    sealed_token: bytes | None


def append(connection: Connection, appends: Sequence[Append]) -> Sequence[Event]:
    """Store steps as events. Raises LaunchNotFound, LeaseLost, or ValueError if a step's phase may not come next."""
    ends = _lock_ends(connection, {append.launch_id for append in appends})
    kinds = {end.kind for append in appends if (end := ends[append.launch_id]).changes_estimate(append.step)}
    starts = start_times.last(connection, kinds)
    events = [ends[append.launch_id].append(append, starts) for append in appends]
    connection.execute(_INSERT_EVENT, [event_row(event) for event in events])
    if estimated := [end.estimated_row() for end in ends.values() if end.estimate]:
        connection.execute(UPDATE_LAUNCH, estimated)
    if turned := [end.turned_row() for end in ends.values() if end.has_turned and not end.estimate]:
        connection.execute(UPDATE_LAUNCH, turned)
    if grown := [end.grown_row() for end in ends.values() if not end.has_turned]:
        # SQLite rewrites every index whose condition names a column of the UPDATE, changed or not.
        connection.execute(UPDATE_LAUNCH, grown)
    if started := [_started(append, ends) for append in appends if append.step.server_started_at]:
        connection.execute(UPDATE_ATTEMPT, started)
    notify(connection, [f"{end.launch_id} {end.seq}" for end in ends.values()])
    if any(end.status.ends_stream for end in ends.values()):
        _note_ends(connection, appends, ends, at=now(connection))
    return events


def _note_ends(
    connection: Connection, appends: Sequence[Append], ends: Mapping[str, "LogEnd"], *, at: datetime
) -> None:
    """Note the outcomes and start times of launches that have ended. `at`: the time by the clock of all processes."""
    if failed := [end for end in ends.values() if end.status in (Status.FAILED, Status.CANCELLED)]:
        connection.execute(FORGET_ARGS, {"launch_ids": [end.launch_id for end in failed]})
        connection.execute(MAKE_DUE, [{**end.attempt_key(), "clean_at": at} for end in failed])
    if spawned := [outcome for append in appends if (outcome := _outcome(append.step, ends[append.launch_id]))]:
        spawn_history.record(connection, spawned, at)
    if started := [row for end in ends.values() if (row := end.start_row(at))]:
        start_times.record(connection, started)


def _outcome(step: Step, end: "LogEnd") -> spawn_history.Outcome | None:
    """Return how the spawn ended, if the step says so and the launch had been admitted to the Hub."""
    if end.admitted_at is None or not (step.phase is Status.READY or step.failed_spawn):
        return None
    return spawn_history.Outcome(end.launch_id, known_as(end.image), end.admitted_at, step.failed_spawn)


def _started(append: Append, ends: Mapping[str, "LogEnd"]) -> dict[str, Any]:
    return {**ends[append.launch_id].attempt_key(), "server_started_at": append.step.server_started_at}


@dataclass(slots=True)
class LogEnd:
    """The end of a launch's log, including the events appended to it in this transaction."""

    launch_id: str
    status: Status
    attempt: int
    seq: int
    fence: int
    owner: str | None
    launching_at: datetime | None
    admitted_at: datetime | None
    image: str
    image_digest: str | None
    size: str | None
    has_pulled: bool
    silence_s: float
    at: datetime
    progress: int
    stalled_since: datetime | None
    ended_at: datetime | None = None
    will_end_at: datetime | None = None
    has_turned: bool = False
    """Whether the launch itself changes, and not only the end of its log."""
    estimate: Estimate | None = None
    """The launch's new estimate, if the appended events change it."""

    @property
    def kind(self) -> start_times.Kind:
        """The kind of its start."""
        return start_times.kept_as(self.image, self.image_digest), self.size or ""

    def changes_estimate(self, step: Step) -> bool:
        """Return whether the step is the first at the Hub since the admission, or the first pull of the image."""
        if step.phase is not Status.LAUNCHING:
            return False
        return self.status is Status.WAITING or (step.is_pull and not self.has_pulled)

    def append(self, append: Append, starts: Mapping[start_times.Kind, Sequence[Start]]) -> Event:
        """Return the step as the next event. `starts`: the last starts of its kind, if the estimate changes."""
        check_fence(self.launch_id, append.fence, held=self.fence)
        step = append.step
        if step.phase is Status.STOPPED or not self.status.may_become(step.phase):
            raise ValueError(f"launch {self.launch_id} is {self.status}, so it cannot become {step.phase}")
        new = None
        if self.admitted_at is not None and self.changes_estimate(step):
            self.has_pulled = self.has_pulled or step.is_pull
            new = estimate(starts[self.kind], admitted_at=self.admitted_at, is_pulling=self.has_pulled)
            self.estimate = new
        self.has_turned = self.has_turned or new is not None or step.phase is not self.status
        at = max(self.at, datetime.now(UTC))
        if self.status is Status.LAUNCHING:
            self.silence_s = max(self.silence_s, (at - (self.stalled_since or self.at)).total_seconds())
        self.status, self.seq, self.at, self.stalled_since = step.phase, self.seq + 1, at, step.stalled_since
        self.ended_at = self.at if self.status.ends_stream else None
        self.will_end_at = None if step.session_s is None else self.at + timedelta(seconds=step.session_s)
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
            stage=step.stage or Stage.of(step.phase),
            raw_event=step.raw_event,
            stalled_since=step.stalled_since,
            stalled_reason=step.stalled_reason,
            url=step.url,
            sealed_token=append.sealed_token,
            token_expires_at=step.token_expires_at,
            content_fault=step.content_fault,
            problem=step.problem,
            estimate=new,
        )

    def grown_row(self) -> dict[str, Any]:
        return {"of_launch": self.launch_id, "last_seq": self.seq, "silence_s": self.silence_s}

    def turned_row(self) -> dict[str, Any]:
        return self.grown_row() | {
            "status": self.status.value,
            "owner": self.owner,
            "launching_at": self.launching_at,
            "ended_at": self.ended_at,
            "will_end_at": self.will_end_at,
        }

    def estimated_row(self) -> dict[str, Any]:
        return self.turned_row() | {"estimate": estimate_column(self.estimate), "has_pulled": self.has_pulled}

    def start_row(self, at: datetime) -> dict[str, Any] | None:
        """Return how long the start took if the launch is ready. `at`: the time by the clock that admitted it."""
        if self.status is not Status.READY or self.admitted_at is None:
            return None
        image, size = self.kind
        return {
            "launch_id": self.launch_id,
            "image": image,
            "size": size,
            "ready_at": at,
            "seconds": max(0.0, (at - self.admitted_at).total_seconds()),
            "pulled": self.has_pulled,
            "silence_s": self.silence_s,
        }

    def attempt_key(self) -> dict[str, Any]:
        return {"of_launch": self.launch_id, "of_number": self.attempt}


def lock_end(connection: Connection, launch_id: str, fence: int) -> LogEnd:
    """Return the end of a launch's log, locked until this transaction ends. Raises LaunchNotFound, LeaseLost."""
    end = _lock_ends(connection, {launch_id})[launch_id]
    check_fence(launch_id, fence, held=end.fence)
    return end


def _lock_ends(connection: Connection, launch_ids: Collection[str]) -> dict[str, LogEnd]:
    rows = connection.execute(_ENDS, {"launch_ids": list(launch_ids)}).mappings().all()
    if len(rows) != len(launch_ids) and is_shared(connection):
        # The lock had to wait for another append. The statement sees the events from before that wait, so the last
        # event is missing from its join; a second statement sees it.
        rows = connection.execute(_ENDS, {"launch_ids": list(launch_ids)}).mappings().all()
    ends = {row["launch_id"]: LogEnd(**{**row, "status": Status(row["status"])}) for row in rows}
    if len(ends) != len(launch_ids):
        raise LaunchNotFound
    return ends


def check_fence(launch_id: str, fence: int, *, held: int) -> None:
    """Raise LeaseLost if another process has taken the launch over since this fence was read."""
    if fence != held:
        raise LeaseLost(f"launch {launch_id} is another process's now")
