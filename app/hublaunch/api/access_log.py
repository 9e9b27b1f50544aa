"""Each request has an id, a line in the log, and listeners. Plain ASGI, so that a stream passes through untouched."""

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
from hublaunch.launch.model import Problem

log = logging.getLogger("hublaunch.wiring.access")

PROBED = ("/healthz", "/readyz", "/metrics")
"""What is asked all the time, by the address of the process and whatever its host name is."""
PATH_MAX = 200
ACCESS_FIELDS = ("client", "method", "path", "status", "code", "duration_ms", "operator_advice")
"""The fields of a line on a request; the last only where a problem has such advice."""
_LINE = '%s "%s %s" %d %s in %d ms'
_SANE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=@-]{0,127}")

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Of the request that is being answered, or that a launch came with."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How a request was answered."""

    status: int
    problem: Problem | None
    """None if the answer is no problem."""

    @property
    def code(self) -> str | None:
        """The code of the problem; None if there is none."""
        return self.problem.code if self.problem else None


RequestListener = Callable[[Scope], Callable[[Answer], None]]
"""Called when a request begins, in its own context; gives what to call once it is answered. Neither may raise."""


class Requests:
    """Gives each request its id, and tells the log and the lifespan's `request_listeners` how it was answered.

    The id is the caller's own `X-Request-ID` where that is a sane one; the answer carries it. No line has the query, in
    which the secret of a launch may stand. Probes, which come all the time, are lines for DEBUG.

    It is the outermost of the middlewares; `send_body` in the scope is for who sends a body that none of them reads.
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
        current_attempt.set(None)  # a request that was pipelined begins in the context of the one before it
        listeners: Sequence[RequestListener] = state.get("request_listeners", ())
        tell_end = [begin(scope) for begin in listeners]

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = own_id
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception:
            state["problem"] = Problem.of(InternalError())  # the answer to it is made outside of every middleware
            raise
        finally:
            del scope["send_body"]  # which leads back to the scope
            answer = Answer(status, state.get("problem"))
            for tell in tell_end:
                tell(answer)
            self._log(scope, answer, time.perf_counter() - began_at)

    def _log(self, scope: Scope, answer: Answer, seconds: float) -> None:
        path = scope["path"]
        level = logging.DEBUG if path in self._quiet_paths else logging.INFO
        if not log.isEnabledFor(level):
            return
        facts = {
            "client": scope["client"][0] if scope.get("client") else "-",
            "method": scope["method"],
            "path": path if len(path) <= PATH_MAX else path[:PATH_MAX] + "…",
            "status": answer.status,
            "code": answer.code or "-",
            "duration_ms": round(seconds * 1000),
        }
        line = _LINE
        if answer.problem and answer.problem.operator_advice:
            line += ": %s"
            facts["operator_advice"] = answer.problem.operator_advice
        log.log(level, line, *facts.values(), extra=facts)


def _id_of(scope: Scope) -> str:
    given = Headers(scope=scope).get("X-Request-ID", "")
    return given if _SANE_ID.fullmatch(given) else token_hex(16)


def spans_of(begin_request: Callable[[str, dict[str, str]], Callable[[str, int], None]]) -> RequestListener:
    """Tells the method and the headers of every request but probes, and at its end the route and the status."""

    def begin(scope: Scope) -> Callable[[Answer], None]:
        if scope["path"].endswith(PROBED):
            return lambda _: None
        end = begin_request(scope["method"], dict(Headers(scope=scope)))
        return lambda answer: end(getattr(scope.get("route"), "path", ""), answer.status)

    return begin


def refusals_to(told: Callable[[str], None]) -> RequestListener:
    """Tells the code of every request that is answered with a problem."""

    def begin(_: Scope) -> Callable[[Answer], None]:
        return lambda answer: told(answer.code) if answer.code else None

    return begin
