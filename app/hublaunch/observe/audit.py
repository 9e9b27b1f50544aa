"""The audit log: who launched, cancelled or changed what, as JSON lines that are only appended.

The format is that of jupyter-events, like BinderHub's launch event, with the schema `audit-1.json`. An event is written
once the change is stored. The log contains no tokens, keys or secrets.
"""

import getpass
import json
import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from hublaunch.launch.caller import Caller
from hublaunch.launch.model import Event, Launch
from hublaunch.launch.news import (
    Accepted,
    CancelRequested,
    DigestFound,
    DrainEnded,
    DrainStarted,
    GuardCleared,
    News,
    SessionEnded,
    SessionExtended,
    SessionWarned,
    Stopped,
)

log = logging.getLogger(__name__)

SCHEMA = "urn:hublaunch:audit"
SCHEMA_VERSION = "1"
STANDARD_OUTPUT = Path("-")

Action = Literal[
    "launch_accepted",
    "launch_digest_found",
    "launch_cancel_requested",
    "launch_session_extended",
    "launch_session_warned",
    "launch_session_ended",
    "launch_ended",
    "launch_stopped",
    "key_added",
    "key_revoked",
    "guard_cleared",
    "drain_started",
    "drain_ended",
    "admin_link_created",
    "database_backed_up",
    "database_copied",
    "invitation_added",
    "invitation_changed",
    "invitation_revoked",
    "pool_drained",
    "pool_filled",
]
_SERVICE = {"kind": "service", "name": "hublaunch"}
_HUB = {"kind": "service", "name": "jupyterhub"}
_UNKNOWN = {"kind": "unknown", "name": ""}


class AuditLog:
    """Appends to a file, or to `standard` output for the path `-`. Raises OSError if the file cannot be opened.

    Each event is one write at the end of the file, so processes can share a file. A file that was moved away is created
    again, as logrotate expects. The system decides when data reaches the disk: the launches themselves are safe in the
    database. If the file cannot be written, the service log says so, and the audited action still counts.
    """

    def __init__(self, path: Path, *, standard: int = 1) -> None:
        self._path = path
        self._standard = standard
        self._file = self._open()
        self._is_failing = False

    def close(self) -> None:
        if self._path != STANDARD_OUTPUT:
            os.close(self._file)

    def write(self, action: Action, actor: dict[str, str], **facts: Any) -> None:
        """Append an event. Facts that are None are left out."""
        event = {
            "__timestamp__": _instant(datetime.now(UTC)),
            "__schema__": SCHEMA,
            "__schema_version__": SCHEMA_VERSION,
            "__metadata_version__": 1,
            "action": action,
            "actor": actor,
            **{name: fact for name, fact in facts.items() if fact is not None},
        }
        try:
            self._reopen_if_moved()
            self._append(json.dumps(event).encode() + b"\n")
        except OSError as error:
            if not self._is_failing:
                log.error("The audit log %s cannot be written: %s", self._path, error.strerror)  # noqa: TRY400
            self._is_failing = True
        else:
            self._is_failing = False

    def _append(self, line: bytes) -> None:
        if self._is_failing:
            line = b"\n" + line  # the last line may be incomplete; a blank line does no harm
        while line:
            line = line[os.write(self._file, line) :]

    def _open(self) -> int:
        if self._path == STANDARD_OUTPUT:
            return self._standard
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _reopen_if_moved(self) -> None:
        if self._path == STANDARD_OUTPUT:
            return
        try:
            is_the_same = os.path.samestat(os.fstat(self._file), self._path.stat())
        except FileNotFoundError:
            is_the_same = False
        if not is_the_same:
            former, self._file = self._file, self._open()
            os.close(former)


class LaunchAudit:
    """Records what happens to launches, and who caused it."""

    def __init__(self, audit: AuditLog, *, request_id: Callable[[], str | None]) -> None:
        """`request_id` returns the id of the current request."""
        self._audit = audit
        self._request_id = request_id

    def _on_event(self, event: Event) -> None:
        """Record the end of a launch."""
        if event.phase.ends_stream:
            self._audit.write(
                "launch_ended",
                _SERVICE,
                launch_id=event.launch_id,
                outcome=event.phase.value,
                cause=event.problem.code if event.problem else None,
                attempts=event.attempt,
            )

    def on_news(self, news: News) -> None:
        """Record events and changes that were stored."""
        match news:
            case Event():
                self._on_event(news)
            case Accepted(launch=launch):
                self._audit.write("launch_accepted", _actor(launch.caller), **self._request(), **_of(launch))
            case DigestFound(launch_id=launch_id, image_digest=image_digest):
                self._audit.write("launch_digest_found", _SERVICE, launch_id=launch_id, image_digest=image_digest)
            case CancelRequested(launch_id=launch_id, by=by):
                actor = _UNKNOWN if by is None else _actor(by)
                self._audit.write("launch_cancel_requested", actor, **self._request(), launch_id=launch_id)
            case SessionExtended(launch_id=launch_id, seconds=seconds, will_end_at=at, by=by):
                facts = {**self._request(), "seconds": seconds, "will_end_at": _instant(at)}
                self._audit.write("launch_session_extended", _actor(by), launch_id=launch_id, **facts)
            case SessionWarned(launch_id=launch_id, will_end_at=at):
                self._audit.write("launch_session_warned", _SERVICE, launch_id=launch_id, will_end_at=_instant(at))
            case SessionEnded(launch_id=launch_id):
                self._audit.write("launch_session_ended", _SERVICE, launch_id=launch_id)
            case DrainStarted() | DrainEnded() | GuardCleared():
                self._on_switch(news)
            case Stopped(launch_id=launch_id, stopped_by=stopped_by):
                actor = _HUB if stopped_by == "hub" else _SERVICE
                self._audit.write("launch_stopped", actor, launch_id=launch_id)

    def _on_switch(self, news: DrainStarted | DrainEnded | GuardCleared) -> None:
        """Record what an admin changed of the whole service."""
        actor, request = _actor(news.by), self._request()
        match news:
            case DrainStarted():
                self._audit.write("drain_started", actor, **request)
            case DrainEnded():
                self._audit.write("drain_ended", actor, **request)
            case GuardCleared(image=image):
                self._audit.write("guard_cleared", actor, **request, image=image)

    def _request(self) -> dict[str, str | None]:
        return {"request_id": self._request_id()}


def operator() -> dict[str, str]:
    """Return the user who runs the command line."""
    try:
        return {"kind": "operator", "name": getpass.getuser()}
    except (KeyError, OSError):  # a user without a name, as in many containers
        return {"kind": "operator", "name": str(os.getuid())}


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _actor(caller: Caller) -> dict[str, str]:
    return {"kind": caller.kind, "name": caller.key}


def _of(launch: Launch) -> dict[str, str | None]:
    return {
        "launch_id": launch.id,
        "image": launch.request.image,
        "environment": launch.request.environment or None,
        "size": launch.request.size or None,
        "image_digest": launch.image_digest,
        "claimed_from": launch.claimed_from,
        "repo_url": launch.request.repo_url,
        "ref": launch.request.ref or None,
        "username": launch.attempt.username,
        "server_name": launch.attempt.server_name,
    }
