"""Launches and events as those see them who may, each by their sight."""

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from weakref import WeakKeyDictionary

from hublaunch.api.visibility import Sight
from hublaunch.launch.model import Event, Launch, Problem, Status
from hublaunch.launch.rules.path import opened_at

PROBLEM_TYPE = "urn:hublaunch:problem:"

_PUBLIC_MESSAGES = {
    Status.WAITING: "Waiting",
    Status.LAUNCHING: "Launching",
    Status.READY: "The server is ready",
    Status.FAILED: "The launch failed",
    Status.CANCELLED: "Cancelled",
}
"""The Hub's words can name the user, so whoever lacks the secret reads these."""


_NOTHING_JOINED: tuple[Sequence[Event], str, bytes] = ((), "", b"")


def rfc3339(at: datetime | None) -> str | None:
    """UTC with milliseconds and `Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") if at else None


def problem_view(problem: Problem, *, for_operator: bool) -> dict[str, str]:
    """Return a problem of RFC 9457, with `code` and `advice`, and for operators `operator_advice` if there is any."""
    shown = {
        "type": PROBLEM_TYPE + problem.code,
        "title": problem.title,
        "detail": problem.detail,
        "code": problem.code,
        "advice": problem.advice,
    }
    if for_operator and problem.operator_advice:
        shown["operator_advice"] = problem.operator_advice
    return shown


class Views:
    """What is shown of launches and their events."""

    def __init__(self, *, unseal: Callable[[bytes], str], token_in_url: bool, prefix: str) -> None:
        self._unseal = unseal
        self._token_in_url = token_in_url
        self._prefix = prefix
        self._encoded: defaultdict[Sight, WeakKeyDictionary[Event, tuple[str, bytes]]] = defaultdict(WeakKeyDictionary)
        self._joined: dict[Sight, tuple[Sequence[Event], str, bytes]] = {}

    def location(self, launch_id: str) -> str:
        """The path of a launch, absolute."""
        return f"{self._prefix}/launch/{launch_id}"

    def launch(self, launch: Launch, *, sight: Sight) -> dict[str, Any]:
        """A launch as it stands."""
        last, private = launch.last_event, Sight.PRIVATE in sight
        shown: dict[str, Any] = {
            "id": launch.id,
            "status": launch.status,
            "phase": last.phase,
            "progress": last.progress,
            "message": last.message if private else _PUBLIC_MESSAGES[last.phase],
            "attempt": launch.attempt.number,
            "created_at": rfc3339(launch.created_at),
            "ended_at": rfc3339(launch.ended_at),
            "stopped_at": rfc3339(launch.stopped_at),
            "stopped_by": launch.stopped_by,
            "durations": _durations(launch),
            "events_url": f"{self.location(launch.id)}/events",
        }
        if last.problem:
            shown["problem"] = _problem(last.problem, sight)
        if private:
            shown |= {"image": launch.request.image, "repo_url": launch.request.repo_url}
            shown |= {"username": launch.attempt.username, "server_name": launch.attempt.server_name}
            shown["path"] = launch.request.path
        if Sight.ENTRY in sight and launch.status is Status.READY:
            shown |= self._entry(last, launch)
        return shown

    def event(self, event: Event, launch: Launch, *, sight: Sight) -> dict[str, Any]:
        """The data of an event."""
        private = Sight.PRIVATE in sight
        shown: dict[str, Any] = {
            "launch_id": event.launch_id,
            "seq": event.seq,
            "at": rfc3339(event.at),
            "phase": event.phase,
            "message": event.message if private else _PUBLIC_MESSAGES[event.phase],
            "progress": event.progress,
            "attempt": event.attempt,
        }
        if event.problem:
            shown["problem"] = _problem(event.problem, sight)
        if private and event.phase is Status.READY:
            shown |= {"image": launch.request.image, "repo_url": launch.request.repo_url}
        if Sight.ENTRY in sight and event.phase is Status.READY:
            shown |= self._entry(event, launch)
        return shown

    def sse(self, events: Sequence[Event], launch: Launch, *, sight: Sight) -> bytes:
        """Events as server-sent events.

        Each is encoded once, however many follow to open the same path; and for followers who are given the same
        object, one after the other, they are joined once.
        """
        joined, path, block = self._joined.get(sight, _NOTHING_JOINED)
        if joined is not events or path != launch.request.path:
            block = b"".join([self._sse(event, launch, sight=sight) for event in events])
            self._joined[sight] = events, launch.request.path, block
        return block

    def _sse(self, event: Event, launch: Launch, *, sight: Sight) -> bytes:
        encoded = self._encoded[sight]
        path, block = encoded.get(event, ("", b""))
        if not block or path != launch.request.path:
            data = json.dumps(self.event(event, launch, sight=sight), ensure_ascii=False, separators=(",", ":"))
            block = f"id: {event.seq}\ndata: {data}\n\n".encode()
            encoded[event] = launch.request.path, block
        return block

    def _entry(self, event: Event, launch: Launch) -> dict[str, Any]:
        """How to get into the server. `open_url` is made on reading, as the token in it is never stored in clear."""
        url = event.url or ""
        token = self._unseal(event.sealed_token) if event.sealed_token is not None else None
        return {
            "url": url,
            "open_url": opened_at(url, launch.request.path, token=token if self._token_in_url else None),
            "token": token,
            "token_expires_at": rfc3339(event.token_expires_at),
        }


def _durations(launch: Launch) -> dict[str, float | None]:
    """How long the launch waited, was launching, and took in all; null where that is not over."""
    return {
        "waiting_s": _seconds(launch.created_at, launch.launching_at or launch.ended_at),
        "spawning_s": _seconds(launch.launching_at, launch.ended_at),
        "total_s": _seconds(launch.created_at, launch.ended_at),
    }


def _seconds(begin: datetime | None, end: datetime | None) -> float | None:
    return round((end - begin).total_seconds(), 3) if begin and end else None


def _problem(problem: Problem, sight: Sight) -> dict[str, str]:
    shown = problem_view(problem, for_operator=Sight.OPERATOR in sight)
    if Sight.PRIVATE not in sight:
        del shown["detail"]
    return shown
