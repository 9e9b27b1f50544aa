"""Responses that carry a problem: as JSON, or as a page where a browser asks for one."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime

from starlette.responses import HTMLResponse, JSONResponse
from starlette.types import Receive, Scope, Send

from hublaunch.api.problems.page import policy_of, problem_page, wants_page
from hublaunch.api.problems.types import HTTP_PROBLEMS, STATUS, problem_body
from hublaunch.api.site import Site
from hublaunch.launch import errors
from hublaunch.launch.problem import Problem

_NOTHING = "default-src 'none'"
_RETRY_AFTER_S = 5

STANDALONE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": f"{_NOTHING}; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""The security headers of a response that no middleware sees."""


class ProblemResponse(JSONResponse):
    """`application/problem+json`, or an HTML page where a browser asks for one.

    The problem is kept in the request's state, for the metrics and the log.
    """

    media_type = "application/problem+json"

    def __init__(
        self,
        status: int,
        problem: Problem,
        headers: Mapping[str, str] | None = None,
        *,
        for_operator: bool = False,
        **extensions: object,
    ) -> None:
        """`extensions` are further members of the body."""
        body = {**problem_body(problem, for_operator=for_operator), "status": status, **extensions}
        super().__init__(body, status, {"Cache-Control": "no-store", **(headers or {})})
        self._problem = problem
        self._given = headers or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = scope.setdefault("state", {})
        state["problem"] = self._problem
        if not wants_page(scope):
            await super().__call__(scope, receive, send)
            return
        site, prefix = (state["web"].site, state["web"].prefix) if "web" in state else (Site(), "")
        page = problem_page(self._problem, self.status_code, site=site, prefix=prefix)
        policy = self._given.get("Content-Security-Policy", _NOTHING).replace(_NOTHING, policy_of(site))
        headers = {"Cache-Control": "no-store", **self._given, "Content-Security-Policy": policy}
        await HTMLResponse(page, self.status_code, headers)(scope, receive, send)


def http_problem(status: int, headers: Mapping[str, str] | None = None) -> ProblemResponse:
    """Return the response to an invalid HTTP request; the status is a key of `HTTP_PROBLEMS`."""
    return ProblemResponse(status, HTTP_PROBLEMS[status], headers)


def launch_problem(
    error: errors.LaunchError, headers: Mapping[str, str] | None = None, *, for_operator: bool = False
) -> ProblemResponse:
    """Return the response to a request that failed with this error."""
    status, headers = STATUS[type(error)], dict(headers or {})
    if isinstance(error, errors.HookRefused) and 400 <= error.status_code < 600:
        status = error.status_code
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="hublaunch"'
    if wait_s := _retry_after_s(error, status):
        headers["Retry-After"] = str(wait_s)
    return ProblemResponse(status, Problem.of(error), headers, for_operator=for_operator, **_extensions(error))


def _extensions(error: errors.LaunchError) -> dict[str, object]:
    """Return the members that this kind of error adds to those of every problem."""
    fault = _field_fault(error)
    if fault is not None:
        return {"errors": [fault]}
    match error:
        case errors.QuotaReached(quota=quota):
            scope, together = quota.scope, quota.is_of_several
            return {"limit": {"scope": scope, "together": together, "most": quota.most, "active": error.active}}
        case errors.AlreadyRunning():
            return {"launch_id": error.launch_id}
        case errors.ServerAlreadyRunning():
            return {"url": error.url, "open_url": error.open_url}
        case errors.RateLimited():
            return {"violated-policies": list(error.names)}
    return {}


def _field_fault(error: errors.LaunchError) -> dict[str, str] | None:
    """Return the field of the request that is to blame, and why; None if the request itself is fine."""
    if isinstance(error, errors.InvalidRequest):
        return {"field": error.field, "reason": error.reason}
    if isinstance(error, errors.ImageAbsent | errors.ImageWrongPlatform):
        return {"field": "image", "reason": str(error)}
    return None


def _retry_after_s(error: errors.LaunchError, status: int) -> int | None:
    """Return the seconds after which the same request may succeed; None if waiting does not help."""
    if isinstance(
        error,
        errors.QuotaReached | errors.QueueFull | errors.StorageFull | errors.RateLimited | errors.ServiceDraining,
    ):
        return error.retry_after_s
    if isinstance(error, errors.ImageFailing):
        return max(1, math.ceil((error.until - datetime.now(UTC)).total_seconds()))
    return _RETRY_AFTER_S if status == 503 else None
