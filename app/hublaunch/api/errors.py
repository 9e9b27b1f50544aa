"""Errors as callers see them: one table from error to status, one shape of body (RFC 9457)."""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from hublaunch.api.counting import too_many_invalid
from hublaunch.api.problem_page import POLICY, problem_page, wants_page
from hublaunch.api.rate_headers import rate_headers
from hublaunch.api.schemas import LaunchBody
from hublaunch.api.views import problem_view
from hublaunch.api.visibility import is_for_operator
from hublaunch.launch import errors
from hublaunch.launch.model import Problem
from hublaunch.launch.rules.messages import clean

STATUS: Mapping[type[errors.LaunchError], int] = {
    errors.InternalError: 500,
    errors.Interrupted: 503,
    errors.InvalidRequest: 422,
    errors.Unauthenticated: 401,
    errors.AccessDenied: 403,
    errors.ImageNotAllowed: 403,
    errors.DigestRequired: 403,
    errors.RepoNotAllowed: 403,
    errors.HookRefused: 403,
    errors.HookFailed: 503,
    errors.ServerAlreadyRunning: 409,
    errors.ServerNameTaken: 409,
    errors.AlreadyLaunching: 409,
    errors.AlreadyRunning: 409,
    errors.NamedServerLimitReached: 409,
    errors.QuotaReached: 429,
    errors.RateLimited: 429,
    errors.SpecNotMapped: 404,
    errors.LaunchNotFound: 404,
    errors.LaunchGone: 410,
    errors.ServerStopped: 410,
    errors.QueueFull: 503,
    errors.StorageFull: 503,
    errors.IdempotencyKeyReused: 422,
    errors.SecretRequired: 403,
    errors.ServiceStopping: 503,
    errors.HubUnavailable: 502,
    errors.HubFailed: 502,
    errors.NotTheHub: 502,
    errors.HubBusy: 503,
    errors.HubRefused: 502,
    errors.HubForbidden: 502,
    errors.SpawnRefused: 502,
    errors.NamedServersOff: 502,
    errors.UserExists: 502,
    errors.ServerExists: 409,
    errors.NotStarting: 502,
    errors.TokenRefused: 502,
    errors.SpawnLost: 502,
    errors.SpawnCancelled: 502,
    errors.ServerNotFound: 502,
    errors.ImageFailing: 409,
    errors.SpawnTimedOut: 504,
    errors.QueueTimedOut: 504,
    errors.Displaced: 503,
    errors.SpawnFailed: 502,
    errors.ImageNotFound: 502,
    errors.ImagePullFailed: 502,
    errors.CommandNotFound: 502,
    errors.NoRoom: 503,
    errors.ClusterQuotaExceeded: 503,
    errors.ClusterRefused: 502,
    errors.VolumeFailed: 502,
    errors.ServerExited: 502,
    errors.ServerSilent: 504,
    errors.StartTimedOut: 504,
}
"""Every error that can be raised, so that adding one without a status fails a test."""

_LAUNCHING = "POST"
"""The method of requests for a launch. `/build`, which launches by GET, tells its refusals by itself."""
_RETRY_AFTER_S = 5
_FAULTS_MAX = 5
"""Faults of one request that are told. A body of 64 KiB has room for thousands."""
_NAME_SHOWN_MAX = 40
_HTTP_PROBLEMS: Mapping[int, Problem] = {
    400: Problem(
        code="malformed_body",
        title="The body is not valid JSON",
        detail="The body could not be read as JSON.",
        advice="Send a body that is valid JSON.",
    ),
    403: Problem(
        code="foreign_origin",
        title="The request comes from a page that may not send it",
        detail="A page of another origin has sent this, or the request does not show that none has.",
        advice="Ask the operator of this service to allow that page's origin. A program that is no browser can send "
        "the header X-Requested-With.",
        operator_advice="To allow the page, add its origin to LAUNCHER_CORS_ORIGINS.",
    ),
    404: Problem(
        code="not_found",
        title="There is nothing here",
        detail="This service has no such path.",
        advice="Check the address. /docs lists the paths of this service.",
    ),
    405: Problem(
        code="method_not_allowed",
        title="This path does not take this method",
        detail="The method is not one that this path takes.",
        advice="See /docs for what it takes.",
    ),
    406: Problem(
        code="event_stream_only",
        title="This path answers with an event stream only",
        detail="The header Accept does not name text/event-stream.",
        advice="Send `Accept: text/event-stream`, as an EventSource does, or use POST /launch.",
    ),
    408: Problem(
        code="body_too_slow",
        title="The body took too long",
        detail="The body did not arrive within 10 seconds.",
        advice="Send the request again.",
    ),
    413: Problem(
        code="body_too_large",
        title="The body is too large",
        detail="The body has more than 64 KiB.",
        advice="Send at most 64 KiB.",
    ),
    414: Problem(
        code="uri_too_long",
        title="The address is too long",
        detail="The path and the query have more than 4,096 characters.",
        advice="Send a shorter address.",
    ),
    415: Problem(
        code="unsupported_media_type",
        title="The body is not JSON",
        detail="The Content-Type is not application/json.",
        advice="Send the body as application/json.",
    ),
    421: Problem(
        code="unknown_host",
        title="The request is for another host",
        detail="This service does not answer to the host name that the request was sent to.",
        advice="Use the address that the operator of this service has published.",
        operator_advice="If this host name is the service's, add it to LAUNCHER_ALLOWED_HOSTS.",
    ),
    429: Problem(
        code="too_many_streams",
        title="Too many open event streams",
        detail="Your address follows as many launches at once as one address may.",
        advice="Close event streams that nobody reads, and send the request again later. The launches go on.",
        operator_advice="To allow more, raise LAUNCHER_MAX_STREAMS_ADDRESS. If the address is your proxy's, add it to "
        "LAUNCHER_TRUSTED_PROXIES.",
    ),
    431: Problem(
        code="headers_too_large",
        title="The headers are too large",
        detail="The headers have more than 16 KiB.",
        advice="Send fewer or shorter headers; a browser may have to delete cookies of this site.",
    ),
    503: Problem(
        code="too_many_requests",
        title="This service is answering as many requests as it can",
        detail="This process has no room for another request.",
        advice="Send the request again in a few seconds. The launches go on.",
        operator_advice="To take more, raise LAUNCHER_MAX_CONNECTIONS and the limit on open files.",
    ),
}
"""What is wrong with a request as HTTP, whatever was asked for."""


_NOTHING = "default-src 'none'"

ALONE = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": f"{_NOTHING}; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""What protects an answer that is made outside of every middleware."""


class ProblemResponse(JSONResponse):
    """`application/problem+json`, or a page where a browser asks for one.

    The problem stays with the request, for metrics and the log.
    """

    media_type = "application/problem+json"

    def __init__(
        self,
        status: int,
        problem: Problem,
        headers: Mapping[str, str] | None = None,
        *,
        for_operator: bool = False,
        **more: object,
    ) -> None:
        body = {**problem_view(problem, for_operator=for_operator), "status": status, **more}
        super().__init__(body, status, {"Cache-Control": "no-store", **(headers or {})})
        self._problem = problem
        self._given = headers or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = scope.setdefault("state", {})
        state["problem"] = self._problem
        if not wants_page(scope):
            await super().__call__(scope, receive, send)
            return
        prefix = state["web"].prefix if "web" in state else ""
        page = problem_page(self._problem, self.status_code, prefix=prefix)
        policy = self._given.get("Content-Security-Policy", _NOTHING).replace(_NOTHING, POLICY)
        headers = {"Cache-Control": "no-store", **self._given, "Content-Security-Policy": policy}
        await HTMLResponse(page, self.status_code, headers)(scope, receive, send)


def codes() -> frozenset[str]:
    """Every code that a problem may have."""
    return frozenset({kind.code for kind in STATUS} | {problem.code for problem in _HTTP_PROBLEMS.values()})


_EXAMPLES: Mapping[int, errors.LaunchError] = {
    401: errors.Unauthenticated("The token or key is not one that is known here."),
    403: errors.ImageNotAllowed(any_allowed=True),
    404: errors.LaunchNotFound(),
    409: errors.ServerNameTaken(),
    410: errors.LaunchGone(),
    429: errors.RateLimited(names=("address",), most=1800, window_s=60, retry_after_s=1),
    502: errors.HubUnavailable("identify the token", "it did not answer in time"),
    422: errors.InvalidRequest("image", "must be an image reference such as quay.io/jupyter/base-notebook:latest"),
    500: errors.InternalError(),
    503: errors.ServiceStopping(),
}

_OF_EVERY_PATH = (414, 421, 431)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These refusals and those of every path, for an OpenAPI document, each with a body as it is really sent.

    Where credentials can be wrong (401), they can have been so too often (429).
    """
    too_often = {429} if 401 in statuses else set()
    return {status: _documentation(status) for status in sorted({*statuses, *too_often, *_OF_EVERY_PATH})}


def _documentation(status: int) -> dict[str, Any]:
    error = _EXAMPLES.get(status)
    example = json.loads(bytes((_launch_response(error) if error else http_problem(status)).body))
    schema = {"$ref": "#/components/schemas/ProblemBody"}
    return {
        "description": example["title"],
        "content": {ProblemResponse.media_type: {"schema": schema, "example": example}},
    }


def problem_of_status(status: int) -> Problem:
    """Return the problem of a request that is wrong as HTTP, for one of the statuses above."""
    return _HTTP_PROBLEMS[status]


def http_problem(status: int, headers: Mapping[str, str] | None = None) -> ProblemResponse:
    """The answer to a request that is wrong as HTTP, with one of the statuses above."""
    return ProblemResponse(status, _HTTP_PROBLEMS[status], headers)


async def _launch_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.LaunchError)
    if isinstance(error, errors.InvalidRequest) and request.method == _LAUNCHING:
        error = await too_many_invalid(request) or error
    return _launch_response(error, rate_headers(request), for_operator=is_for_operator(request))


def _launch_response(
    error: errors.LaunchError, told: Mapping[str, str] | None = None, *, for_operator: bool = False
) -> Response:
    status, headers = STATUS[type(error)], dict(told or {})
    more: dict[str, object] = {}
    if isinstance(error, errors.HookRefused) and 400 <= error.status_code < 600:
        status = error.status_code
    if isinstance(error, errors.InvalidRequest):
        more["errors"] = [{"field": error.field, "reason": error.reason}]
    if isinstance(error, errors.QuotaReached):
        quota = error.quota
        more["limit"] = {
            "scope": quota.scope,
            "together": quota.is_of_several,
            "most": quota.most,
            "active": error.active,
        }
    if isinstance(error, errors.AlreadyRunning):
        more["launch_id"] = error.launch_id
    if isinstance(error, errors.ServerAlreadyRunning):
        more |= {"url": error.url, "open_url": error.open_url}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="hublaunch"'
    if wait_s := _retry_after_s(error, status):
        headers["Retry-After"] = str(wait_s)
    if isinstance(error, errors.RateLimited):
        more["violated-policies"] = list(error.names)
    return ProblemResponse(status, Problem.of(error), headers, for_operator=for_operator, **more)


def _retry_after_s(error: errors.LaunchError, status: int) -> int | None:
    """Whole seconds after which the same request may succeed; None if waiting does not help."""
    if isinstance(error, errors.QuotaReached | errors.QueueFull | errors.StorageFull | errors.RateLimited):
        return error.retry_after_s
    if isinstance(error, errors.ImageFailing):
        return max(1, math.ceil((error.until - datetime.now(UTC)).total_seconds()))
    return _RETRY_AFTER_S if status == 503 else None


async def _validation_error(request: Request, error: Exception) -> Response:
    """Answer what FastAPI found wrong. What it quotes of values is left out."""
    assert isinstance(error, RequestValidationError)
    if request.method == _LAUNCHING and (too_many := await too_many_invalid(request)):
        return _launch_response(too_many, rate_headers(request))
    faults = error.errors()
    if any(fault["type"] == "json_invalid" for fault in faults):
        return http_problem(400)
    found = [_field_fault(fault) for fault in faults[:_FAULTS_MAX]]
    sentence = "; ".join(f"{fault['field']}: {fault['reason']}" for fault in found)
    problem = Problem(
        code=errors.InvalidRequest.code,
        title=errors.InvalidRequest.title,
        detail=sentence,
        advice=errors.InvalidRequest.advice,
    )
    return ProblemResponse(422, problem, rate_headers(request), errors=found)


def _field_fault(fault: Mapping[str, Any]) -> dict[str, str]:
    if fault["type"] == "extra_forbidden":
        return _unknown_field(clean(str(fault["loc"][-1]))[:_NAME_SHOWN_MAX])
    path = ".".join(str(part) for part in fault["loc"][1:]) or "body"
    return {"field": path, "reason": fault["msg"]}


def _unknown_field(name: str) -> dict[str, str]:
    """A field's name is no value: it is shown, so that a misspelt one is found."""
    near = get_close_matches(name.lower(), LaunchBody.model_fields, n=1, cutoff=0.5)
    return {"field": name, "reason": "is no field of this request" + (f"; did you mean {near[0]}?" if near else "")}


def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return http_problem(error.status_code, error.headers)


def _unexpected(request: Request, _: Exception) -> Response:
    """The server logs the traceback; the caller learns that there is one, and by which id to find it."""
    headers = {**ALONE, "X-Request-ID": request.state.request_id}
    return ProblemResponse(500, Problem.of(errors.InternalError()), headers)


def add_error_handlers(app: FastAPI) -> None:
    """Answer every error with a problem body."""
    app.add_exception_handler(errors.LaunchError, _launch_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)


DOCUMENTED_EVERYWHERE = documented(414, 421, 431, 500)
"""The refusals that any request may meet."""
