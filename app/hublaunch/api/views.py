"""Launches and events as JSON, with the parts that a reader may see."""

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from weakref import WeakKeyDictionary

from hublaunch.api.problems.types import problem_body
from hublaunch.api.visibility import Visibility
from hublaunch.launch.model import Event, Launch, Status
from hublaunch.launch.problem import Problem
from hublaunch.launch.rules.content import opened_path
from hublaunch.launch.rules.estimate import Estimate
from hublaunch.launch.rules.path import opened_at
from hublaunch.launch.rules.session import SessionTerms

_PUBLIC_MESSAGES = {
    Status.WAITING: "Waiting",
    Status.LAUNCHING: "Launching",
    Status.READY: "The server is ready",
    Status.FAILED: "The launch failed",
    Status.CANCELLED: "Cancelled",
}
"""The text that readers without the secret see in place of the Hub's messages, which can name the user."""

_NOTHING_JOINED: tuple[Sequence[Event], str, bytes] = ((), "", b"")


def rfc3339(at: datetime | None) -> str | None:
    """Return the time in UTC with milliseconds and `Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") if at else None


class Views:
    """Renders launches and their events."""

    def __init__(self, *, unseal: Callable[[bytes], str], token_in_url: bool, prefix: str, terms: SessionTerms) -> None:
        self._unseal = unseal
        self._token_in_url = token_in_url
        self._prefix = prefix
        self._terms = terms
        self._encoded: defaultdict[Visibility, WeakKeyDictionary[Event, tuple[str, bytes]]] = defaultdict(
            WeakKeyDictionary
        )
        self._joined: dict[Visibility, tuple[Sequence[Event], str, bytes]] = {}

    def location(self, launch_id: str) -> str:
        """Return the absolute path of a launch."""
        return f"{self._prefix}/launch/{launch_id}"

    def launch(self, launch: Launch, *, visibility: Visibility) -> dict[str, Any]:
        """Return the launch's current state."""
        last, private = launch.last_event, Visibility.PRIVATE in visibility
        shown: dict[str, Any] = {
            "id": launch.id,
            "status": launch.status,
            "phase": last.phase,
            "stage": last.stage,
            "progress": last.progress,
            "message": last.message if private else _PUBLIC_MESSAGES[last.phase],
            "stalled_since": rfc3339(last.stalled_since),
            "stalled_reason": last.stalled_reason,
            "attempt": launch.attempt.number,
            "warm": launch.claimed_from is not None,
            "created_at": rfc3339(launch.created_at),
            "ended_at": rfc3339(launch.ended_at),
            "stopped_at": rfc3339(launch.stopped_at),
            "stopped_by": launch.stopped_by if launch.stopped_at else None,
            "durations": _durations(launch),
            "events_url": f"{self.location(launch.id)}/events",
        }
        shown |= _expected(launch.estimate if launch.is_in_progress else None, datetime.now(UTC))
        if last.problem:
            shown["problem"] = _problem(last.problem, visibility)
        if private:
            shown |= self._session(launch)
            shown |= {"image": launch.request.image, "repo_url": launch.request.repo_url, "ref": launch.request.ref}
            shown |= {"username": launch.attempt.username, "server_name": launch.attempt.server_name}
            shown |= {"path": launch.request.path, "image_digest": launch.image_digest}
            shown |= {"environment": launch.request.environment or None, "size": launch.request.size or None}
            shown["invitation"] = launch.caller.key if launch.caller.kind == "invitation" else None
        if Visibility.ENTRY in visibility and launch.status is Status.READY:
            shown |= self._entry(last, launch)
        return shown

    def event(self, event: Event, launch: Launch, *, visibility: Visibility) -> dict[str, Any]:
        """Return the data of an event."""
        private = Visibility.PRIVATE in visibility
        shown: dict[str, Any] = {
            "launch_id": event.launch_id,
            "seq": event.seq,
            "at": rfc3339(event.at),
            "phase": event.phase,
            "stage": event.stage,
            "message": event.message if private else _PUBLIC_MESSAGES[event.phase],
            "progress": event.progress,
            "attempt": event.attempt,
        }
        if event.estimate:
            shown |= _expected(event.estimate, event.at)
        if event.problem:
            shown["problem"] = _problem(event.problem, visibility)
        if event.stalled_since:
            shown |= {"stalled_since": rfc3339(event.stalled_since), "stalled_reason": event.stalled_reason}
        if private and event.raw_event and event.raw_event.image_bytes is not None:
            shown["image_bytes"] = event.raw_event.image_bytes
        if private and event.phase is Status.READY:
            shown |= {"image": launch.request.image, "repo_url": launch.request.repo_url}
        if Visibility.ENTRY in visibility and event.phase is Status.READY:
            shown |= self._entry(event, launch)
        return shown

    def sse(self, events: Sequence[Event], launch: Launch, *, visibility: Visibility) -> bytes:
        """Return the events encoded as server-sent events.

        Each event is encoded once for all followers that see the same fields and open the same path. Followers that
        pass the same `events` object one after the other share one joined block.
        """
        joined, path, block = self._joined.get(visibility, _NOTHING_JOINED)
        if joined is not events or path != launch.request.path:
            block = b"".join([self._sse(event, launch, visibility=visibility) for event in events])
            self._joined[visibility] = events, launch.request.path, block
        return block

    def _sse(self, event: Event, launch: Launch, *, visibility: Visibility) -> bytes:
        encoded = self._encoded[visibility]
        path, block = encoded.get(event, ("", b""))
        if not block or path != launch.request.path:
            data = json.dumps(
                self.event(event, launch, visibility=visibility), ensure_ascii=False, separators=(",", ":")
            )
            block = f"id: {event.seq}\ndata: {data}\n\n".encode()
            encoded[event] = launch.request.path, block
        return block

    def _session(self, launch: Launch) -> dict[str, Any]:
        """Return when the server will be stopped, and what becomes of its user then."""
        return {
            "will_end_at": rfc3339(launch.will_end_at) if launch.status is Status.READY else None,
            "extendable_until": rfc3339(self._terms.extendable_until(launch)),
            "is_temporary": launch.attempt.creates_user,
        }

    def _entry(self, event: Event, launch: Launch) -> dict[str, Any]:
        """Return the server's URLs and token. `open_url` is made here: its token is never stored in the clear."""
        url = event.url or ""
        token = self._unseal(event.sealed_token) if event.sealed_token is not None else None
        return {
            "url": url,
            "open_url": opened_at(
                url,
                opened_path(launch.request, fault=event.content_fault),
                token=token if self._token_in_url else None,
            ),
            "content_fault": event.content_fault,
            "token": token,
            "token_expires_at": rfc3339(event.token_expires_at),
        }


def _durations(launch: Launch) -> dict[str, float | None]:
    """Return how long the launch waited, spawned and took in total, in seconds; None for a period that is not over."""
    return {
        "waiting_s": _seconds(launch.created_at, launch.launching_at or launch.ended_at),
        "spawning_s": _seconds(launch.launching_at, launch.ended_at),
        "total_s": _seconds(launch.created_at, launch.ended_at),
    }


def _expected(estimate: Estimate | None, now: datetime) -> dict[str, Any]:
    """Return when a launch will probably be ready, and the basis of that; null where nothing is known."""
    if estimate is None or not estimate.is_known:
        return {"expected_ready_at": None, "expected_basis": None}
    basis = {
        "count": estimate.count,
        "p50_s": round(estimate.p50_s, 1),
        "p90_s": round(estimate.p90_s, 1),
        "of_pulls": estimate.of_pulls,
        "passed_s": round(estimate.passed_s(now), 1),
    }
    return {"expected_ready_at": rfc3339(estimate.ready_at(now)), "expected_basis": basis}


def _seconds(begin: datetime | None, end: datetime | None) -> float | None:
    return round((end - begin).total_seconds(), 3) if begin and end else None


def _problem(problem: Problem, visibility: Visibility) -> dict[str, str]:
    shown = problem_body(problem, for_operator=Visibility.OPERATOR in visibility)
    if Visibility.PRIVATE not in visibility:
        del shown["detail"]
    return shown
