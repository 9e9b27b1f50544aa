"""One launch of the fake service: its course, as a test decides it, and the views of callers."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

_PUBLIC_MESSAGES = {
    "waiting": "Waiting",
    "launching": "Launching",
    "ready": "The server is ready",
    "failed": "The launch failed",
    "cancelled": "Cancelled",
}
_PRIVATE = ("image", "repo_url", "url", "open_url", "token", "token_expires_at", "content_fault")
_ENDINGS = ("ready", "failed", "cancelled")


class FakeLaunch:
    """A launch that waits until the test decides how it continues. Any thread may call its methods."""

    def __init__(
        self,
        launch_id: str,
        request: Mapping[str, Any],
        *,
        caller: str | None,
        server_url: str,
        changed: Callable[[], None],
    ) -> None:
        self.id = launch_id
        self.secret = secrets.token_urlsafe(32)
        self.request = request
        """The body of the request: `image`, or that of the `environment`, and any other fields that the caller sent."""
        self.caller = caller
        """The name of the caller; None without a token."""
        self.stopped_by: str | None = None
        """What stopped the server, as the service says it; None while it runs or before it is ready."""
        self.will_end_at: datetime | None = None
        """When the server will be stopped; the fake does not stop it by itself."""
        self.extendable_until: datetime | None = None
        """The latest end that extensions can reach."""
        self.is_warm = False
        """Whether the launch got a warm server, which was running before the launch claimed it."""
        self.position: Mapping[str, Any] | None = None
        """The last position in the queue, as it is sent; None if the launch was never queued."""
        self.events: list[Mapping[str, Any]] = []
        """The stored events, with their private fields."""
        self._server_url = server_url
        self._changed = changed
        self._basis: Mapping[str, Any] | None = None
        self._has_news = True
        self._admitted_at: datetime | None = None
        self._extensions: dict[str, int] = {}
        self._add("waiting", "Accepted", 0)

    @property
    def phase(self) -> str:
        """The phase of the last event."""
        return str(self.events[-1]["phase"])

    @property
    def status(self) -> str:
        return "stopped" if self.stopped_by else self.phase

    @property
    def has_ended(self) -> bool:
        return self.phase in _ENDINGS

    @property
    def is_queued(self) -> bool:
        return self.position is not None and self.position["position"] > 0

    def queue(self, position: int, queue_size: int, *, eta_s: int | None = None) -> None:
        """Put the launch at this position of the queue; 1 is next."""
        self._place(position, queue_size, eta_s)

    def expect(self, p50_s: float, p90_s: float, *, count: int = 50, of_pulls: bool = False) -> None:
        """Say in the next report how long starts like this one took. Otherwise, nothing is known."""
        self._basis = {"count": count, "p50_s": p50_s, "p90_s": p90_s, "of_pulls": of_pulls}
        self._has_news = True

    def claim(self) -> None:
        """Give the launch a warm server, as if a pool had one ready. Call `ready` next."""
        self.is_warm = True
        self._add("launching", "A warm server was waiting", 90, stage="opening")

    def report(self, message: str, *, progress: int = 50, stage: str = "starting") -> None:
        """Add an event of the Hub or its spawner, such as `Pulling the image` with the stage `pulling`."""
        now = datetime.now(UTC)
        self._admitted_at = self._admitted_at or now
        expected, self._has_news = self._expected(now) if self._has_news else {}, False
        self._add("launching", message, progress, stage=stage, **expected)

    def stall(self, message: str = "Starting the server for 3 minutes.", *, reason: str | None = None) -> None:
        """Say that JupyterHub has said nothing new for longer than usual. The next event ends that."""
        if self.phase != "launching":
            raise ValueError(f"Only a launch at JupyterHub can stall: it is {self.status}.")
        last = self.events[-1]
        stalled = {"stalled_since": last["at"], "stalled_reason": reason}
        self._add("launching", message, last["progress"], stage=last["stage"], **stalled)

    def ready(
        self,
        *,
        content_fault: str | None = None,
        session_s: float | None = None,
        extended_session_s: float | None = None,
    ) -> None:
        """Let the server become ready; `content_fault` says why the files of the repository are not in it.

        It may run for `session_s`, and with extensions for `extended_session_s`; both None without a limit.
        """
        now = datetime.now(UTC)
        if session_s is not None:
            self.will_end_at = now + timedelta(seconds=session_s)
        if extended_session_s is not None:
            self.extendable_until = now + timedelta(seconds=extended_session_s)
        token = secrets.token_hex(16)
        path = str(self.request.get("path", "")).lstrip("/")
        link = "&" if "?" in path else "?"
        self._add(
            "ready",
            _PUBLIC_MESSAGES["ready"],
            100,
            image=self.request["image"],
            repo_url=self.request.get("repo_url", ""),
            url=self._server_url,
            open_url=f"{self._server_url}{path}{link}token={token}",
            token=token,
            token_expires_at=_at(now + timedelta(days=1)),
            content_fault=content_fault,
        )

    def extend(self, seconds: int, *, key: str = "") -> str:
        """Extend the session as a caller can, once for each `key`. Return the code of the refusal, or `""`."""
        if key in self._extensions:
            return "" if self._extensions[key] == seconds else "idempotency_key_reused"
        if self.status != "ready" or self.will_end_at is None:
            return "nothing_to_extend"
        will_end_at = self.will_end_at + timedelta(seconds=seconds)
        if self.extendable_until is None or will_end_at > self.extendable_until:
            return "session_limit_reached"
        self.will_end_at = will_end_at
        if key:
            self._extensions[key] = seconds
        return ""

    def stop(self, by: str = "session_end") -> None:
        """Stop the server of a ready launch, as at the end of its session. With `by="hub"`, it was culled."""
        if self.status != "ready":
            raise ValueError(f"The launch has no running server: it is {self.status}.")
        self.stopped_by = by

    def fail(self, code: str, *, title: str = "", detail: str = "", advice: str = "") -> None:
        """End the launch with the problem `code`; docs/failures.md lists them."""
        problem = problem_json(code, title=title, detail=detail, advice=advice)
        self._add("failed", problem["title"], self.events[-1]["progress"], problem=problem)

    def cancel(self) -> None:
        """Cancel the launch, or stop its server, as a caller can; without effect on a launch that has ended."""
        if self.status == "ready":
            self.stop("caller")
        elif not self.has_ended:
            self._add("cancelled", _PUBLIC_MESSAGES["cancelled"], self.events[-1]["progress"])

    def json(self, *, private: bool) -> dict[str, Any]:
        """Return the launch as the service shows it, to a caller with its secret or without."""
        last = _visible(self.events[-1], private=private)
        ended_at = last["at"] if self.has_ended else None
        shown = {
            "id": self.id,
            "status": self.status,
            **{name: last[name] for name in ("phase", "stage", "progress", "message", "attempt")},
            **{name: last.get(name) for name in ("stalled_since", "stalled_reason")},
            "warm": self.is_warm,
            "created_at": self.events[0]["at"],
            "ended_at": ended_at,
            "stopped_at": ended_at if self.stopped_by else None,
            "stopped_by": self.stopped_by,
            "durations": {"waiting_s": None, "spawning_s": None, "total_s": None},
            "events_url": f"/launch/{self.id}/events",
            **self._expected(datetime.now(UTC)),
        }
        shown |= {
            name: last[name]
            for name in ("problem", "url", "open_url", "token", "token_expires_at", "content_fault")
            if name in last
        }
        if private:
            shown |= {
                name: self.request.get(name, "")
                for name in ("image", "repo_url", "ref", "username", "server_name", "path")
            }
            shown |= {name: self.request.get(name) or None for name in ("environment", "size")}
            shown["invitation"] = None
            shown["image_digest"] = None  # as where no registry is asked
            shown |= self._session()
        return shown

    def events_after(self, number: int, *, private: bool) -> Sequence[dict[str, Any]]:
        """Return the events above this number as the service shows them."""
        return [_visible(event, private=private) for event in self.events[number:]]

    def _expected(self, now: datetime) -> dict[str, Any]:
        """Return when the launch will probably be ready, and the basis of that; None where nothing is known."""
        if self._basis is None or self._admitted_at is None or self.has_ended:
            return {"expected_ready_at": None, "expected_basis": None}
        passed_s = (now - self._admitted_at).total_seconds()
        expected_s = next((self._basis[name] for name in ("p50_s", "p90_s") if passed_s < self._basis[name]), None)
        ready_at = None if expected_s is None else _at(self._admitted_at + timedelta(seconds=expected_s))
        return {"expected_ready_at": ready_at, "expected_basis": {**self._basis, "passed_s": round(passed_s, 1)}}

    def _session(self) -> dict[str, Any]:
        end = self.will_end_at if self.status == "ready" else None
        latest = self.extendable_until
        is_extendable = end is not None and latest is not None and latest > end
        return {
            "will_end_at": _at(end) if end else None,
            "extendable_until": _at(latest) if is_extendable and latest else None,
            "is_temporary": True,
        }

    def _place(self, position: int, queue_size: int, eta_s: int | None) -> None:
        self.position = {"position": position, "queue_size": queue_size, "eta_s": eta_s, "eta_basis": None}
        self._changed()

    def _add(self, phase: str, message: str, progress: int, **more: Any) -> None:
        if self.events and self.has_ended:
            raise ValueError(f"The launch has ended: it is {self.status}.")
        if self.position is not None and self.is_queued:
            self._place(0, self.position["queue_size"], 0)
        seq, at = len(self.events) + 1, _at(datetime.now(UTC))
        stage = "queued" if phase == "waiting" else None
        event = {"launch_id": self.id, "seq": seq, "at": at, "phase": phase, "stage": stage, "message": message}
        self.events.append({**event, "progress": progress, "attempt": 1, **more})
        self._changed()


def problem_json(code: str, *, title: str = "", detail: str = "", advice: str = "", **more: Any) -> dict[str, Any]:
    """Return a problem as the service sends it. The title defaults to the words of the code."""
    title = title or code.replace("_", " ").capitalize()
    problem = {"type": f"urn:hublaunch:problem:{code}", "title": title, "detail": detail, "code": code}
    return {**problem, "advice": advice, **more}


def _visible(event: Mapping[str, Any], *, private: bool) -> dict[str, Any]:
    """Return what a caller with the secret, or without it, sees of an event."""
    if private:
        return dict(event)
    shown = {name: value for name, value in event.items() if name not in _PRIVATE}
    if "problem" in shown:
        shown["problem"] = {name: value for name, value in shown["problem"].items() if name != "detail"}
    return shown | {"message": _PUBLIC_MESSAGES[shown["phase"]]}


def _at(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
