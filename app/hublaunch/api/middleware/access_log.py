"""Gives each request an id and a line in the log, and tells listeners how it was answered."""

import logging
import re
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from secrets import token_hex

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hublaunch.launch.errors import InternalError
from hublaunch.launch.log_context import current_attempt
from hublaunch.launch.problem import Problem

log = logging.getLogger("hublaunch.access")

PROBED = ("/healthz", "/readyz", "/metrics")
"""Paths that are requested all the time, at the process's own address and with any host name."""
PATH_MAX = 200
ACCESS_FIELDS = ("client", "method", "path", "status", "code", "duration_ms", "operator_advice")
"""The fields of a request's log line; `operator_advice` only if the problem has some."""
_LINE = '%s "%s %s" %d %s in %d ms'
_VALID_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=@-]{0,127}")
_WORD_MAX = 200

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request in progress, or of the request that asked for the launch."""


@dataclass(frozen=True, slots=True)
class RequestOutcome:
    """How a request was answered."""

    status: int
    problem: Problem | None
    """None if the answer is not a problem."""

    @property
    def code(self) -> str | None:
        """The code of the problem; None without one."""
        return self.problem.code if self.problem else None


RequestListener = Callable[[Scope], Callable[[RequestOutcome], None]]
"""Called when a request begins, in its context; returns a function to call with its outcome. Neither may raise."""


class AccessLog:
    """Gives each request its id, and reports its outcome to the log and to the lifespan's `request_listeners`.

    The id is the caller's `X-Request-ID` if that is valid; the answer carries it. Log lines leave out the query, which
    can contain a launch's secret. Requests for `quiet_paths`, such as probes, are logged at level DEBUG.

    This is the outermost middleware. It puts `send_body` into the scope: streams send their bodies with it, and bypass
    all middleware.
    """

    def __init__(self, app: ASGIApp, *, quiet_paths: frozenset[str]) -> None:
        self._app = app
        self._quiet_paths = quiet_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_at, status = time.perf_counter(), 500
        state = scope.setdefault("state", {})
        state["request_id"] = own_id = _id_of(scope)
        scope["send_body"] = send
        request_id.set(own_id)
        current_attempt.set(None)  # a pipelined request starts in the context of the one before it
        listeners: Sequence[RequestListener] = state.get("request_listeners", ())
        report_outcome = [begin(scope) for begin in listeners]

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = own_id
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception:
            state["problem"] = Problem.of(InternalError())  # the error is answered outside all middleware
            raise
        finally:
            del scope["send_body"]  # it refers back to the scope
            outcome = RequestOutcome(status, state.get("problem"))
            for report in report_outcome:
                report(outcome)
            self._log(scope, outcome, time.perf_counter() - began_at)

    def _log(self, scope: Scope, outcome: RequestOutcome, seconds: float) -> None:
        path = scope["path"]
        level = logging.DEBUG if path in self._quiet_paths else logging.INFO
        if not log.isEnabledFor(level):
            return
        facts = {
            "client": scope["client"][0] if scope.get("client") else "-",
            "method": scope["method"],
            "path": path if len(path) <= PATH_MAX else path[:PATH_MAX] + "…",
            "status": outcome.status,
            "code": outcome.code or "-",
            "duration_ms": round(seconds * 1000),
        }
        line = _LINE
        if outcome.problem and outcome.problem.operator_advice:
            line += ": %s"
            facts["operator_advice"] = outcome.problem.operator_advice
        log.log(level, line, *facts.values(), extra=facts)


def _id_of(scope: Scope) -> str:
    given = Headers(scope=scope).get("X-Request-ID", "")
    return given if _VALID_ID.fullmatch(given) else token_hex(16)


def spans_of(begin_request: Callable[[str, dict[str, str]], Callable[[str, int], None]]) -> RequestListener:
    """Return a listener that gives a tracer each request's method and headers, then its route and status.

    Probes are left out.
    """

    def begin(scope: Scope) -> Callable[[RequestOutcome], None]:
        if scope["path"].endswith(PROBED):
            return lambda _: None
        end = begin_request(scope["method"], dict(Headers(scope=scope)))
        return lambda outcome: end(getattr(scope.get("route"), "path", ""), outcome.status)

    return begin


def refusals_to(count: Callable[[str], None]) -> RequestListener:
    """Return a listener that calls `count` with the code of each request that is answered with a problem."""

    def begin(_: Scope) -> Callable[[RequestOutcome], None]:
        return lambda outcome: count(outcome.code) if outcome.code else None

    return begin


class UvicornLogFilter(logging.Filter):
    """Removes queries, which can contain a launch's secret, from uvicorn's own log lines, and shortens long words.

    Uvicorn logs the addresses of WebSocket requests, which this service refuses.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(_short(word) if isinstance(word, str) else word for word in record.args)
        return True


def _short(word: str) -> str:
    word = word.partition("?")[0]
    return word if len(word) <= _WORD_MAX else word[:_WORD_MAX] + "…"
