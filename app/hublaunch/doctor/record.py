"""`hublaunch show`: everything that the database has on one launch, as JSON and in words.

No token is shown: the database has tokens only in sealed form, and they stay sealed. The values of `extra_args` are not
shown either, because they may contain the caller's credentials.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from hublaunch.api.views import rfc3339
from hublaunch.launch.caller import Caller
from hublaunch.launch.model import Event, Launch, Status
from hublaunch.launch.ports import NotedCalls
from hublaunch.launch.rules.condition import Condition
from hublaunch.settings import Settings
from hublaunch.store.database import transaction_beside_service
from hublaunch.store.record import LaunchRecord, StoredAttempt, record_of

Row = tuple[str, str]
"""A heading and its text. The heading is `""` if the row continues the previous one."""
Due = tuple[str, datetime | None]
"""Something that hublaunch will do, and when; None stands for as soon as possible."""

_STATUSES = {
    Status.WAITING: "waiting in the queue",
    Status.LAUNCHING: "in progress at JupyterHub",
    Status.READY: "ready",
    Status.FAILED: "failed",
    Status.CANCELLED: "cancelled",
    Status.STOPPED: "stopped: it was ready, and its server is gone",
}
_STOPPED_BY = {
    "caller": "cancelled",
    "hub": "JupyterHub no longer has the server",
    "session_end": "its time was over",
    "operator": "an operator stopped all servers",
    "claim": "a launch took over its server",
    "pool": "nobody needed it in the warm pool anymore",
}
_OUTCOMES = {
    "answered": Condition.HUB_SLOW.words,
    "refused": "refused (4xx)",
    "busy": "refused for now (429)",
    "failed": "failed (5xx)",
    "unreachable": "no connection",
    "broken": "no complete answer",
    "given_up": "no answer until hublaunch gave up",
}
"""What the outcomes of `hublaunch.hub.observed.CallOutcome` mean here: an answer is noted only if it was slow."""


def read_record(settings: Settings, launch_id: str) -> LaunchRecord | None:
    """Return the record of a launch, or None if the id is unknown. Raises StoreError."""
    with transaction_beside_service(settings.database_url, writes=False) as connection:
        return record_of(connection, launch_id)


def due(record: LaunchRecord, settings: Settings, now: datetime) -> Sequence[Due]:
    """Return everything that hublaunch still has to do for the launch, in no particular order."""
    launch, found = record.launch, list[Due]()
    is_active = launch.is_in_progress or launch.status is Status.READY
    if is_active and launch.cancel_requested_at is not None:
        found.append(("the cancellation that was requested", None))
    for one in record.attempts:
        if one.clean_at is not None:
            found.append((f"the clean-up of attempt {one.attempt.number}", one.clean_at))
    if launch.is_in_progress:
        end = "the end of the wait in the queue" if launch.admitted_at is None else "the launch timeout"
        if not launch.is_claim:
            found.append((end, launch.deadline_at))
        if record.leased_until is None or record.leased_until <= now:
            found.append(("the adoption by another process", None))
    if not found and not is_active:
        removal = launch.created_at + timedelta(seconds=settings.retention)
        found.append(("the removal of this record, at the latest", removal))
    return found


# --- as JSON ----------------------------------------------------------------------------------------------------------


def record_json(record: LaunchRecord, settings: Settings) -> dict[str, Any]:
    """Return the record as one JSON object. Times are RFC 3339 in UTC."""
    launch = record.launch
    return {
        "id": launch.id,
        "status": launch.status,
        "caller": {"kind": launch.caller.kind, "key": launch.caller.key},
        "request": {
            "image": launch.request.image,
            "image_digest": launch.image_digest,
            "is_pinned": launch.is_pinned,
            "repo_url": launch.request.repo_url,
            "ref": launch.request.ref,
            "path": launch.request.path,
            "environment": launch.request.environment or None,
            "size": launch.request.size or None,
            "extra_args": sorted(launch.request.extra_args),
        },
        "created_at": rfc3339(launch.created_at),
        "admitted_at": rfc3339(launch.admitted_at),
        "cancel_requested_at": rfc3339(launch.cancel_requested_at),
        "ended_at": rfc3339(launch.ended_at),
        "stopped_at": rfc3339(launch.stopped_at),
        "stopped_by": launch.stopped_by,
        "claimed_from": launch.claimed_from,
        "pool_miss": launch.pool_miss,
        "problem": asdict(launch.last_event.problem) if launch.last_event.problem else None,
        "owner": record.owner,
        "leased_until": rfc3339(record.leased_until),
        "attempts": [_attempt_json(one) for one in record.attempts],
        "events": [_event_json(event) for event in record.events],
        "hub_calls": [_calls_json(noted) for noted in record.hub_calls],
        "due": [{"what": what, "at": rfc3339(at)} for what, at in due(record, settings, datetime.now(UTC))],
    }


def _attempt_json(one: StoredAttempt) -> dict[str, Any]:
    return {
        "number": one.attempt.number,
        "username": one.attempt.username,
        "server_name": one.attempt.server_name,
        "creates_user": one.attempt.creates_user,
        "started_at": rfc3339(one.started_at),
        "cleaned_at": rfc3339(one.cleaned_at),
        "clean_at": rfc3339(one.clean_at),
    }


def _event_json(event: Event) -> dict[str, Any]:
    return {
        "seq": event.seq,
        "at": rfc3339(event.at),
        "attempt": event.attempt,
        "phase": event.phase,
        "stage": event.stage,
        "progress": event.progress,
        "message": event.message,
        "url": event.url,
    }


def _calls_json(noted: NotedCalls) -> dict[str, Any]:
    return {
        "attempt": noted.attempt,
        "kind": noted.kind,
        "outcome": noted.outcome,
        "count": noted.count,
        "first_at": rfc3339(noted.first_at),
        "last_at": rfc3339(noted.last_at),
        "slowest_s": round(noted.slowest_s, 3),
    }


# --- in words ---------------------------------------------------------------------------------------------------------


def record_rows(record: LaunchRecord, settings: Settings) -> Iterator[Row]:
    """Yield the record in words, with the events and the calls to the Hub last."""
    launch = record.launch
    yield "Launch", launch.id
    handed_over = launch.is_member and launch.stopped_by == "claim"
    status = "stopped: it was ready, and a launch took over its server" if handed_over else _STATUSES[launch.status]
    yield "Status", f"{status}. Last message: {launch.last_event.message}"
    if problem := launch.last_event.problem:
        yield "Problem", f"{problem.title} ({problem.code})"
        yield from (("", text) for text in (problem.detail,) if text and text != problem.title)
        yield from (("", f"For the caller: {text}") for text in (problem.advice,) if text)
        yield from (("", f"For the operator: {text}") for text in (problem.operator_advice,) if text)
    yield "Caller", _caller(launch.caller)
    yield from _request_rows(launch)
    if launch.claimed_from is not None:
        yield "Warm server", f"taken over from {launch.claimed_from}"
    elif launch.pool_miss is not None:
        yield "Warm server", f"none: {launch.pool_miss}"
    yield from _time_rows(launch)
    yield "Process", _process(record)
    for one in record.attempts:
        yield from _attempt_rows(one, launch)
    heading = "Due"
    for what, at in due(record, settings, datetime.now(UTC)):
        yield heading, f"{what}: {_time(at) if at else 'as soon as possible'}"
        heading = ""
    heading = "Events"
    for event in record.events:
        yield heading, f"{_time(event.at)}  {_after(launch, event.at):>8}  {event.phase:<9}  {event.message}"
        heading = ""
    heading = "Hub calls"
    for noted in record.hub_calls:
        yield heading, _calls(noted, launch)
        heading = ""


def _caller(caller: Caller) -> str:
    known = {"anonymous": "anonymous, at", "hub": "the Hub user", "key": "the API key", "pool": "the warm pool"}
    known["invitation"] = "a holder of the invitation"
    return f"{known[caller.kind]} {caller.key}"


def _request_rows(launch: Launch) -> Iterator[Row]:
    request = launch.request
    yield "Image", request.image
    if launch.image_digest is not None:
        yield "", f"{launch.image_digest}{', which the spawner gets instead of the tag' if launch.is_pinned else ''}"
    if request.repo_url:
        yield "Repository", f"{request.repo_url}{f', at {request.ref}' if request.ref else ''}"
    given = {"Environment": request.environment, "Size": request.size, "Path": request.path}
    yield from ((heading, text) for heading, text in given.items() if text)
    if request.extra_args:
        yield "Arguments", f"{', '.join(sorted(request.extra_args))} (values are not shown)"


def _time_rows(launch: Launch) -> Iterator[Row]:
    yield "Accepted", _time(launch.created_at)
    times = {
        "Admitted": launch.admitted_at,
        "Session over" if launch.has_outlived_session else "Cancelled": launch.cancel_requested_at,
        "Ended": launch.ended_at,
    }
    for heading, at in times.items():
        if at is not None:
            yield heading, f"{_time(at)}, {_after(launch, at)} after acceptance"
    if launch.stopped_at is not None:
        reason = _STOPPED_BY.get(launch.stopped_by or "hub", launch.stopped_by)
        yield "Stopped", f"{_time(launch.stopped_at)}: {reason}"


def _process(record: LaunchRecord) -> str:
    if record.owner is None:
        return "none: once a launch is ready, it needs none"
    if record.leased_until is None:
        return f"{record.owner}, which has ended or lost its lease"
    return f"{record.owner}, whose lease runs until {_time(record.leased_until)}"


def _attempt_rows(one: StoredAttempt, launch: Launch) -> Iterator[Row]:
    attempt = one.attempt
    was_handed_over = not attempt.creates_user and (launch.is_member or launch.attempt.creates_user)
    user = "temporary user" if attempt.creates_user or was_handed_over else "existing user"
    server = f"named server {attempt.server_name}" if attempt.server_name else "default server"
    yield f"Attempt {attempt.number}", f"began {_time(one.started_at)}: {user} {attempt.username}, {server}"
    if was_handed_over:
        yield "", f"handed over {_time(one.cleaned_at or one.started_at)}: another launch deletes the user"
    elif one.cleaned_at is not None:
        yield "", f"cleaned up {_time(one.cleaned_at)}: nothing of it is left at JupyterHub"


def _calls(noted: NotedCalls, launch: Launch) -> str:
    times, longest = "once", f"after {noted.slowest_s:.1f} s"
    if noted.count > 1:
        times, longest = (
            f"{noted.count} times",
            f"after {noted.slowest_s:.1f} s at most, the last time {_time(noted.last_at)}",
        )
    began = f"{_time(noted.first_at)}  {_after(launch, noted.first_at):>8}"
    return f"{began}  attempt {noted.attempt}, {noted.kind}: {_OUTCOMES[noted.outcome]}, {times}, {longest}"


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _after(launch: Launch, at: datetime) -> str:
    return f"{(at - launch.created_at).total_seconds():.1f} s"
