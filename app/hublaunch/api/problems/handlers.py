"""The exception handlers: every error becomes a problem."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response

from hublaunch.api.problems.response import STANDALONE_HEADERS, ProblemResponse, http_problem, launch_problem
from hublaunch.api.rate_headers import rate_headers
from hublaunch.api.schemas import ExtensionBody, LaunchBody
from hublaunch.api.visibility import is_for_operator
from hublaunch.launch import errors
from hublaunch.launch.problem import Problem
from hublaunch.launch.rules.messages import clean

_LAUNCHING = "POST"
"""The method of requests for a launch or an extension. `GET /build`, which launches too, handles its own errors."""
_FAULTS_MAX = 5
"""Faults of one request that are reported. A body of 64 KiB can have thousands."""
_NAME_SHOWN_MAX = 40


def add_error_handlers(app: FastAPI) -> None:
    """Have the app answer every error with a problem."""
    app.add_exception_handler(errors.LaunchError, _launch_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)


async def _launch_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.LaunchError)
    if isinstance(error, errors.InvalidRequest) and request.method == _LAUNCHING:
        error = await request.state.web.counter.too_many_invalid(request) or error
    return launch_problem(error, rate_headers(request), for_operator=is_for_operator(request))


async def _validation_error(request: Request, error: Exception) -> Response:
    """Report what FastAPI found wrong, without the values that it quotes."""
    assert isinstance(error, RequestValidationError)
    if request.method == _LAUNCHING and (too_many := await request.state.web.counter.too_many_invalid(request)):
        return launch_problem(too_many, rate_headers(request))
    faults = error.errors()
    if any(fault["type"] == "json_invalid" for fault in faults):
        return http_problem(400)
    body = ExtensionBody if request.scope["path"].endswith("/extend") else LaunchBody
    found = [_field_fault(fault, body) for fault in faults[:_FAULTS_MAX]]
    problem = Problem(
        code=errors.InvalidRequest.code,
        title=errors.InvalidRequest.title,
        detail="; ".join(f"{fault['field']}: {fault['reason']}" for fault in found),
        advice=errors.InvalidRequest.advice,
    )
    return ProblemResponse(422, problem, rate_headers(request), errors=found)


def _field_fault(fault: Mapping[str, Any], body: type[BaseModel]) -> dict[str, str]:
    if fault["type"] == "extra_forbidden":
        return _unknown_field(clean(str(fault["loc"][-1]))[:_NAME_SHOWN_MAX], body)
    path = ".".join(str(part) for part in fault["loc"][1:]) or "body"
    return {"field": path, "reason": fault["msg"]}


def _unknown_field(name: str, body: type[BaseModel]) -> dict[str, str]:
    """Return the fault with the field's name and its nearest known one, so that a typo is found."""
    near = get_close_matches(name.lower(), body.model_fields, n=1, cutoff=0.5)
    return {"field": name, "reason": "is not a field of this request" + (f"; did you mean {near[0]}?" if near else "")}


def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return http_problem(error.status_code, error.headers)


def _unexpected(request: Request, _: Exception) -> Response:
    """Answer 500 with the request's id, with which the operator finds the traceback that the server logs."""
    headers = {**STANDALONE_HEADERS, "X-Request-ID": request.state.request_id}
    return ProblemResponse(500, Problem.of(errors.InternalError()), headers)
