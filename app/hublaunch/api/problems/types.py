"""The problem types: the status of each launch error, and the problems of invalid HTTP requests.

This is the only list of them. The OpenAPI document and the tables of docs/failures.md are generated from it.
"""

from collections.abc import Mapping

from hublaunch.launch import errors
from hublaunch.launch.problem import Problem

PROBLEM_TYPE = "urn:hublaunch:problem:"

STATUS: Mapping[type[errors.LaunchError], int] = {
    errors.InvalidRequest: 422,
    errors.Unauthenticated: 401,
    errors.InvitationUnknown: 401,
    errors.AdminLinkEnded: 401,
    errors.AccessDenied: 403,
    errors.InvitationEnded: 403,
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
    errors.InvitationFull: 429,
    errors.RateLimited: 429,
    errors.SpecNotMapped: 404,
    errors.LaunchNotFound: 404,
    errors.LaunchGone: 410,
    errors.ServerStopped: 410,
    errors.QueueFull: 503,
    errors.StorageFull: 503,
    errors.IdempotencyKeyReused: 422,
    errors.NothingToExtend: 409,
    errors.SessionLimitReached: 409,
    errors.SecretRequired: 403,
    errors.ServiceDraining: 503,
    errors.ServiceStopping: 503,
    errors.Interrupted: 503,
    errors.InternalError: 500,
    errors.HubUnavailable: 502,
    errors.HubFailed: 502,
    errors.NotTheHub: 502,
    errors.HubBusy: 503,
    errors.HubRefused: 502,
    errors.HubForbidden: 502,
    errors.HubTokenUnknown: 502,
    errors.SpawnRefused: 502,
    errors.NamedServersOff: 502,
    errors.UserExists: 502,
    errors.ServerExists: 409,
    errors.NotStarting: 502,
    errors.TokenRefused: 502,
    errors.ImageAbsent: 422,
    errors.ImageWrongPlatform: 422,
    errors.ImageUnchecked: 503,
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
"""Every error that can be raised. A test fails for an error without a status."""

HTTP_PROBLEMS: Mapping[int, Problem] = {
    400: Problem(
        code="malformed_body",
        title="The body is not valid JSON",
        detail="The body could not be parsed as JSON.",
        advice="Send valid JSON.",
    ),
    403: Problem(
        code="foreign_origin",
        title="Cross-origin request refused",
        detail="The request came from a page of another origin, or did not show where it came from.",
        advice="Ask the operator of this service to allow the page's origin. If you are not using a browser, send the "
        "header X-Requested-With.",
        operator_advice="To allow the page, add its origin to LAUNCHER_CORS_ORIGINS.",
    ),
    404: Problem(
        code="not_found",
        title="Not found",
        detail="This service has nothing at this address.",
        advice="Check the address. /docs lists the paths of this service.",
    ),
    405: Problem(
        code="method_not_allowed",
        title="Method not allowed",
        detail="This path does not support this method.",
        advice="See /docs for the methods that the path supports.",
    ),
    406: Problem(
        code="event_stream_only",
        title="This path only sends event streams",
        detail="The Accept header does not include text/event-stream.",
        advice="Send `Accept: text/event-stream`, as an EventSource does, or use POST /launch.",
    ),
    408: Problem(
        code="body_too_slow",
        title="The body arrived too slowly",
        detail="The body did not arrive within 10 seconds.",
        advice="Send the request again.",
    ),
    413: Problem(
        code="body_too_large",
        title="The body is too large",
        detail="The body is larger than 64 KiB.",
        advice="Send at most 64 KiB.",
    ),
    414: Problem(
        code="uri_too_long",
        title="The address is too long",
        detail="The path and query are longer than 4,096 characters.",
        advice="Shorten the address.",
    ),
    415: Problem(
        code="unsupported_media_type",
        title="The body is not JSON",
        detail="The Content-Type is not application/json.",
        advice="Send the body as application/json.",
    ),
    421: Problem(
        code="unknown_host",
        title="Unknown host name",
        detail="This service does not answer to the host name in the request.",
        advice="Use the address that the operator of this service has published.",
        operator_advice="If this host name belongs to the service, add it to LAUNCHER_ALLOWED_HOSTS.",
    ),
    429: Problem(
        code="too_many_streams",
        title="Too many open event streams",
        detail="Your address has reached the limit on open event streams.",
        advice="Close event streams that nobody reads, and send the request again later. Your launches continue.",
        operator_advice="To allow more, raise LAUNCHER_MAX_STREAMS_ADDRESS. If the address belongs to your proxy, add "
        "it to LAUNCHER_TRUSTED_PROXIES.",
    ),
    431: Problem(
        code="headers_too_large",
        title="The headers are too large",
        detail="The headers are larger than 16 KiB.",
        advice="Send fewer or shorter headers. In a browser, deleting this site's cookies may help.",
    ),
    503: Problem(
        code="too_many_requests",
        title="This service is too busy",
        detail="This process is already handling as many requests as it can.",
        advice="Send the request again in a few seconds. Your launches continue.",
        operator_advice="To handle more, raise LAUNCHER_MAX_CONNECTIONS and the limit on open files.",
    ),
}
"""The problems of invalid HTTP requests, by status, on any path."""


def codes() -> frozenset[str]:
    """Return every code that a problem may have."""
    return frozenset({kind.code for kind in STATUS} | {problem.code for problem in HTTP_PROBLEMS.values()})


def problem_body(problem: Problem, *, for_operator: bool) -> dict[str, str]:
    """Return the members of RFC 9457, with `code`, `advice` and, for operators, `operator_advice`."""
    body = {
        "type": PROBLEM_TYPE + problem.code,
        "title": problem.title,
        "detail": problem.detail,
        "code": problem.code,
        "advice": problem.advice,
    }
    if for_operator and problem.operator_advice:
        body["operator_advice"] = problem.operator_advice
    return body
