"""The Hub's answers that are not a 2xx, and failures on the wire, as errors of the core."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar
from urllib.parse import urlsplit

import httpx

from hublaunch.hub.wire import hub_reason
from hublaunch.launch.errors import (
    HubBusy,
    HubError,
    HubFailed,
    HubForbidden,
    HubRefused,
    HubTokenUnknown,
    HubUnavailable,
    NotTheHub,
)
from hublaunch.launch.rules.messages import clean
from hublaunch.wire.peer import Answer, AnswerTooLarge

R = TypeVar("R", bound=HubRefused)

NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.LocalProtocolError, httpx.UnsupportedProtocol)
"""The errors that prove that the Hub never saw the request."""

_TRANSIENT = (408, 425, 429)
"""The 4xx that a server in front of the Hub gives for a transient reason (RFC 9110, RFC 8470, RFC 6585)."""

_TOKEN_WORDS = "Missing or invalid credentials"
_SCOPE_WORDS = ("not authorized with current scopes", "no permissions")


def refusal_of(answer: Answer, operation: str, *, bounds_s: tuple[float, float]) -> HubError:
    """Return the error for an answer that is not a 2xx. `bounds_s`: the least and most wait that a 429 can ask for."""
    status, reason = answer.status, hub_reason(answer.content)
    if status == 429:
        return HubBusy(reason or "JupyterHub is busy.", retry_after_s(answer.headers.get("Retry-After", ""), *bounds_s))
    if reason is None and 300 <= status < 500 and status not in _TRANSIENT:
        return NotTheHub(operation, _other_server(answer))
    if reason is None:
        return HubUnavailable(operation, f"a server that is not JupyterHub answered {status}")
    if status >= 500:
        return HubFailed(operation, reason or f"it answered {status}")
    kind = _kind_of_403(reason) if status == 403 else HubRefused
    return kind(operation, status, reason or "no reason given")


def _kind_of_403(reason: str) -> type[HubRefused]:
    """Return what the Hub's own words mean. A spawner or a hook may answer 403 in other words."""
    if _TOKEN_WORDS in reason:
        return HubTokenUnknown
    return HubForbidden if any(words in reason for words in _SCOPE_WORDS) else HubRefused


def unavailable(operation: str, error: httpx.HTTPError) -> HubUnavailable:
    """Return the error for a failure on the wire."""
    return HubUnavailable(operation, describe(error), may_have_acted=not isinstance(error, NOT_SENT))


def describe(error: httpx.HTTPError) -> str:
    """Return a description of a failure on the wire, without any header or body."""
    match error:
        case httpx.ConnectError() | httpx.ConnectTimeout():
            return "no connection could be made"
        case httpx.LocalProtocolError() | httpx.UnsupportedProtocol():
            return "the request cannot be sent because its URL or token has characters that HTTP does not allow"
        case httpx.TimeoutException():
            return "it did not answer in time"
        case AnswerTooLarge():
            return "its answer is too large"
        case _:
            return "the connection broke before the answer was complete"


def as_kind(kind: type[R], operation: str, refusal: HubRefused) -> R:
    """Return the refusal as a more specific error."""
    error = kind(operation, refusal.status, refusal.reason)
    error.may_have_acted = refusal.may_have_acted
    return error


def raise_unless_absent(refusal: HubRefused) -> None:
    """Raise the refusal unless it says 404."""
    if refusal.status != 404:
        raise refusal


def says_user_exists(refusal: HubRefused) -> bool:
    """Return whether the user exists already."""
    return refusal.status == 409


def says_server_is_running(refusal: HubRefused) -> bool:
    """Return whether the server is ready already."""
    return refusal.status == 400 and "already running" in refusal.reason


def says_server_exists(refusal: HubRefused) -> bool:
    """Return whether the server is ready or pending already."""
    return says_server_is_running(refusal) or (refusal.status == 400 and " is pending " in refusal.reason)


def says_named_servers_are_off(refusal: HubRefused) -> bool:
    """Return whether the Hub does not allow named servers at all."""
    return refusal.status == 400 and "Named servers are not enabled" in refusal.reason


def _other_server(answer: Answer) -> str:
    """Describe the answer of another web server, without any path or query."""
    said = f"a web server that is not JupyterHub answered {answer.status}"
    if not 300 <= answer.status < 400:
        return said
    try:
        target = urlsplit(answer.headers.get("Location", ""))
        host, port = target.hostname, target.port
    except ValueError:
        return said
    if not target.scheme or not host:
        return f"{said}, a redirect"
    return clean(f"{said}, a redirect to {target.scheme}://{host}{f':{port}' if port else ''}")


def retry_after_s(value: str, least: float, most: float) -> float | None:
    """Return the `Retry-After`, seconds or a date (RFC 9110 §10.2.3), within bounds; None if it is "" or invalid."""
    try:
        if value.isdecimal():
            after_s = float(value)
        else:
            after_s = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(least, after_s), most)
