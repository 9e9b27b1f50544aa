"""Rows of the tables from the core's values, and back."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Row

from hublaunch.launch.caller import Caller
from hublaunch.launch.model import Attempt, Content, Event, Launch, LaunchRequest, Stage, StallReason, Status
from hublaunch.launch.problem import Problem
from hublaunch.launch.rules.estimate import Estimate
from hublaunch.launch.rules.networks import groups_of
from hublaunch.launch.rules.quota import Scope
from hublaunch.launch.rules.quota_rules import counted_as
from hublaunch.launch.rules.raw_event import RawEvent
from hublaunch.store.tables import launch_attempts, launch_events, launches

_ATTEMPT_FIELDS = tuple(field.name for field in fields(Attempt))
_EVENT_FIELDS = tuple(field.name for field in fields(Event))
"""The fields of attempts and events have the names of their columns."""

T = TypeVar("T", RawEvent, Problem)
E = TypeVar("E", Stage, StallReason)


def launch_row(launch: Launch) -> dict[str, Any]:
    """Return a row of `launches`."""
    names = counted_as(launch.caller, launch.request)
    return {
        "id": launch.id,
        "caller_kind": launch.caller.kind,
        "caller_key": launch.caller.key,
        "image": launch.request.image,
        "repo_url": launch.request.repo_url,
        "extra_args": dict(launch.request.extra_args),
        "status": launch.status.value,
        "created_at": launch.created_at,
        "deadline_at": launch.deadline_at,
        "cancel_requested_at": launch.cancel_requested_at,
        "ended_at": launch.ended_at,
        "will_end_at": launch.will_end_at,
        "stopped_at": launch.stopped_at,
        "stopped_by": launch.stopped_by,
        "attempt": launch.attempt.number,
        "last_seq": launch.last_event.seq,
        "launching_at": launch.launching_at,
        "admitted_at": launch.admitted_at,
        "estimate": estimate_column(launch.estimate),
        "time_left_s": launch.time_left_s,
        "caller_name": names[Scope.CALLER],
        "repo_name": names.get(Scope.REPOSITORY),
        "image_name": names[Scope.IMAGE],
        "history_of": None if launch.caller.kind == "key" else groups_of(names[Scope.CALLER])[-1].name,
        "path": launch.request.path,
        "ref": launch.request.ref,
        "environment": launch.request.environment or None,
        "size": names.get(Scope.SIZE),
        "size_options": dict(launch.request.size_options) or None,
        "content": launch.request.content,
        "opens": launch.request.opens,
        "image_digest": launch.image_digest,
        "is_pinned": launch.is_pinned,
        "pool": launch.pool,
        "pool_miss": launch.pool_miss,
        "claimed_from": launch.claimed_from,
        "fence": launch.fence,
    }


def attempt_row(attempt: Attempt, started_at: datetime, cleaned_at: datetime | None = None) -> dict[str, Any]:
    """Return a row of `launch_attempts`."""
    row = {name: getattr(attempt, name) for name in _ATTEMPT_FIELDS}
    return row | {"started_at": started_at, "cleaned_at": cleaned_at}


def event_row(event: Event) -> dict[str, Any]:
    """Return a row of `launch_events`."""
    row = {name: getattr(event, name) for name in _EVENT_FIELDS}
    return row | {
        "phase": event.phase.value,
        "stage": event.stage.value if event.stage else None,
        "stalled_reason": event.stalled_reason.value if event.stalled_reason else None,
        "raw_event": asdict(event.raw_event) if event.raw_event else None,
        "problem": asdict(event.problem) if event.problem else None,
        "estimate": estimate_column(event.estimate),
    }


def estimate_column(estimate: Estimate | None) -> dict[str, Any] | None:
    """Return an estimate as it is stored with a launch and with an event."""
    if estimate is None:
        return None
    return {
        "admitted_at": estimate.admitted_at.isoformat(),
        "of_pulls": estimate.of_pulls,
        "count": estimate.count,
        "quantiles_s": estimate.quantiles_s,
    }


EVENT_COLUMNS = tuple(column.label(f"event_{column.name}") for column in launch_events.c)
ATTEMPT_COLUMNS = tuple(column.label(f"attempt_{column.name}") for column in launch_attempts.c)
LAUNCH_COLUMNS = (
    *launches.c,
    *ATTEMPT_COLUMNS,
    *EVENT_COLUMNS,
)
"""A launch joined with its latest attempt and its last event."""


def launch_of(row: Row[Any]) -> Launch:
    """Return the launch in a row of LAUNCH_COLUMNS."""
    return Launch(
        id=row.id,
        caller=Caller(kind=row.caller_kind, key=row.caller_key),
        request=_request_of(row),
        status=Status(row.status),
        created_at=row.created_at,
        deadline_at=row.deadline_at,
        attempt=attempt_of(row),
        last_event=event_of(row),
        fence=row.fence,
        launching_at=row.launching_at,
        admitted_at=row.admitted_at,
        estimate=_estimate_of(row.estimate),
        time_left_s=row.time_left_s,
        cancel_requested_at=row.cancel_requested_at,
        ended_at=row.ended_at,
        will_end_at=row.will_end_at,
        stopped_at=row.stopped_at,
        stopped_by=row.stopped_by,
        cleaned_at=row.attempt_cleaned_at,
        image_digest=row.image_digest,
        is_pinned=row.is_pinned,
        pool=row.pool,
        pool_miss=row.pool_miss,
        claimed_from=row.claimed_from,
    )


def _request_of(row: Row[Any]) -> LaunchRequest:
    return LaunchRequest(
        image=row.image,
        repo_url=row.repo_url,
        ref=row.ref,
        extra_args=row.extra_args,
        path=row.path,
        environment=row.environment or "",
        size=row.size or "",
        size_options=row.size_options or {},
        content=Content(row.content) if row.content else None,
        opens=row.opens,
    )


def event_of(row: Row[Any]) -> Event:
    """Return the event in a row of EVENT_COLUMNS."""
    found = {name: getattr(row, f"event_{name}") for name in _EVENT_FIELDS}
    return Event(
        **found
        | {
            "phase": Status(row.event_phase),
            "stage": _known(Stage, row.event_stage),
            "stalled_reason": _known(StallReason, row.event_stalled_reason),
            "raw_event": _from_json(RawEvent, row.event_raw_event),
            "problem": _from_json(Problem, row.event_problem),
            "estimate": _estimate_of(row.event_estimate),
        }
    )


def attempt_of(row: Row[Any]) -> Attempt:
    """Return the attempt in a row of ATTEMPT_COLUMNS."""
    return Attempt(**{name: getattr(row, f"attempt_{name}") for name in _ATTEMPT_FIELDS})


def _known(kind: type[E], stored: str | None) -> E | None:
    """Return a stored word; None for a word of a later release."""
    return next((known for known in kind if known.value == stored), None)


def _estimate_of(stored: Mapping[str, Any] | None) -> Estimate | None:
    if stored is None:
        return None
    return Estimate(
        admitted_at=datetime.fromisoformat(stored["admitted_at"]),
        of_pulls=stored["of_pulls"],
        count=stored["count"],
        quantiles_s=tuple(stored["quantiles_s"]),
    )


def _from_json(kind: type[T], stored: Mapping[str, str] | None) -> T | None:
    """Return a stored value. Fields of later releases are left out, and fields that earlier ones lack have defaults."""
    if stored is None:
        return None
    return kind(**{field.name: stored[field.name] for field in fields(kind) if field.name in stored})
