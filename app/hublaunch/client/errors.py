"""Errors of requests to the service.

LaunchClientError
├── Unreachable          nothing answers
├── UnexpectedAnswer     something other than hublaunch answers
└── Refused              hublaunch refuses, and `problem` says why
    ├── InvalidRequest       400, 413, 415, 422
    ├── Unauthenticated      401
    ├── AccessDenied         403
    ├── LaunchNotFound       404, 410
    ├── Conflict             409
    ├── TooManyLaunches      429
    └── ServiceUnavailable   500, 502, 503, 504

A launch that fails raises no error: its last event carries the problem.
"""

import math
from collections.abc import Mapping

import httpx

from hublaunch.client.model import Problem

_GATEWAYS = (502, 503, 504)
"""The statuses with which a proxy answers while the service behind it is down."""


class LaunchClientError(Exception):
    """Base of all errors. `str()` says what to do and contains no secrets."""

    may_pass = False
    """Whether a retry can help. The client retries for `patience_s` before it raises the error."""
    retry_after_s: float | None = None
    """Seconds the service asked to wait before a retry; None if it did not say."""


class Unreachable(LaunchClientError):
    """The service could not be reached within `patience_s`."""

    may_pass = True

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"{url} cannot be reached: {reason}. Check that hublaunch runs there.")


class UnexpectedAnswer(LaunchClientError):
    """The answer is not hublaunch's: the address is wrong, or a proxy answers in its place."""

    def __init__(self, url: str, status: int, reason: str) -> None:
        super().__init__(f"The server at {url} is not hublaunch ({status}, {reason}). Check the address.")
        self.status = status
        self.may_pass = status in _GATEWAYS


class Refused(LaunchClientError):
    """The service understood the request and refused it."""

    def __init__(self, status: int, problem: Problem, *, retry_after_s: float | None) -> None:
        super().__init__(str(problem))
        self.status = status
        self.problem = problem
        self.retry_after_s = retry_after_s
        self.may_pass = retry_after_s is not None

    @property
    def code(self) -> str:
        """A stable, machine-readable code; docs/failures.md lists them."""
        return self.problem.code


class InvalidRequest(Refused):
    """A field is invalid; `problem.errors` names it."""


class Unauthenticated(Refused):
    """The request needs a token or API key, or the one sent is unknown."""


class AccessDenied(Refused):
    """The caller lacks a right, or the launch's secret."""


class LaunchNotFound(Refused):
    """The launch does not exist or has expired."""


class Conflict(Refused):
    """The request conflicts with an existing launch, server or name."""


class TooManyLaunches(Refused):
    """A quota is used up, or a rate limit reached. Only a rate limit has `retry_after_s`."""


class ServiceUnavailable(Refused):
    """The service or the Hub behind it is temporarily unable to answer."""


_OF_STATUS: Mapping[int, type[Refused]] = {
    400: InvalidRequest,
    413: InvalidRequest,
    415: InvalidRequest,
    422: InvalidRequest,
    401: Unauthenticated,
    403: AccessDenied,
    404: LaunchNotFound,
    410: LaunchNotFound,
    409: Conflict,
    429: TooManyLaunches,
    500: ServiceUnavailable,
    502: ServiceUnavailable,
    503: ServiceUnavailable,
    504: ServiceUnavailable,
}


def refusal(url: str, response: httpx.Response) -> Refused | UnexpectedAnswer:
    """Return the error for an unsuccessful answer whose body has been read."""
    status = response.status_code
    if response.headers.get("Content-Type", "").startswith("application/problem+json"):
        try:
            problem = Problem.of(response.json())
        except ValueError:
            return UnexpectedAnswer(url, status, "an unreadable problem")
        return _OF_STATUS.get(status, Refused)(status, problem, retry_after_s=retry_after_s(response))
    return UnexpectedAnswer(url, status, httpx.codes.get_reason_phrase(status) or "an unknown status")


def retry_after_s(response: httpx.Response) -> float | None:
    """Return the seconds of `Retry-After`. A date, which hublaunch never sends, counts as missing."""
    try:
        seconds = float(response.headers.get("Retry-After", ""))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
