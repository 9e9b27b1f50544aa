"""What can go wrong between a caller and the service.

LaunchClientError
├── Unreachable          nothing answers
├── UnexpectedAnswer     something answers that is not hublaunch
└── Refused              hublaunch refuses, and says why: `problem`
    ├── InvalidRequest       400, 413, 415, 422
    ├── Unauthenticated      401
    ├── AccessDenied         403
    ├── LaunchNotFound       404, 410
    ├── Conflict             409
    ├── TooManyLaunches      429
    └── ServiceUnavailable   500, 502, 503, 504

A launch that fails is no error of a request: it is an event.
"""

import math
from collections.abc import Mapping

import httpx

from hublaunch.client.model import Problem

_GATEWAYS = (502, 503, 504)
"""What a proxy says while the service behind it is not there."""


class LaunchClientError(Exception):
    """`str()` says what to do, and has no secrets in it."""

    may_pass = False
    """Whether asking again a little later can help, as the client does for as long as it is patient."""
    retry_after_s: float | None = None
    """Seconds after which the service has asked to be asked again; None if it has not."""


class Unreachable(LaunchClientError):
    """The service could not be reached for as long as it was tried."""

    may_pass = True

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"{url} cannot be reached: {reason}. Check that hublaunch runs there.")


class UnexpectedAnswer(LaunchClientError):
    """An answer that hublaunch does not give: the address is of something else, or a proxy answers in its place."""

    def __init__(self, url: str, status: int, reason: str) -> None:
        super().__init__(f"What answers at {url} is not hublaunch ({status}, {reason}). Check the address.")
        self.status = status
        self.may_pass = status in _GATEWAYS


class Refused(LaunchClientError):
    """The service has understood the request and refuses it."""

    def __init__(self, status: int, problem: Problem, *, retry_after_s: float | None) -> None:
        super().__init__(str(problem))
        self.status = status
        self.problem = problem
        self.retry_after_s = retry_after_s
        self.may_pass = retry_after_s is not None

    @property
    def code(self) -> str:
        """Stable and machine-readable; docs/failures.md lists them."""
        return self.problem.code


class InvalidRequest(Refused):
    """A field is not what it must be: `problem.errors` says which."""


class Unauthenticated(Refused):
    """A token or an API key is needed, or the one that was sent is not known."""


class AccessDenied(Refused):
    """The caller may not do this, or the launch's secret is missing."""


class LaunchNotFound(Refused):
    """There is no such launch, or none any more."""


class Conflict(Refused):
    """Something is in the way: a launch or a server that there is already, a name that is taken."""


class TooManyLaunches(Refused):
    """The caller has as many launches as they may, or has asked too often; `retry_after_s` tells which."""


class ServiceUnavailable(Refused):
    """The service or the Hub behind it cannot do it now."""


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
    """What an answer that is no success means; its body has been read."""
    status = response.status_code
    if response.headers.get("Content-Type", "").startswith("application/problem+json"):
        try:
            problem = Problem.of(response.json())
        except ValueError:
            return UnexpectedAnswer(url, status, "a problem that cannot be read")
        return _OF_STATUS.get(status, Refused)(status, problem, retry_after_s=retry_after_s(response))
    return UnexpectedAnswer(url, status, httpx.codes.get_reason_phrase(status) or "an unknown status")


def retry_after_s(response: httpx.Response) -> float | None:
    """The seconds of a `Retry-After`; a date, which hublaunch does not send, counts as none."""
    try:
        seconds = float(response.headers.get("Retry-After", ""))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
