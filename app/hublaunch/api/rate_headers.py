"""The headers `RateLimit-Policy` and `RateLimit`: draft-ietf-httpapi-ratelimit-headers-11, lists as in RFC 9651."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from hublaunch.launch.rules.rate_limit import Allowance, Limit, Verdict, whole_seconds

DOCUMENTED_RATES: Mapping[str, Any] = {
    "RateLimit-Policy": {
        "description": "The rate limits that apply to the request: a burst of `q`, and as many again in `w` seconds.",
        "schema": {"type": "string"},
        "example": '"caller";q=600;w=60, "address";q=1800;w=60',
    },
    "RateLimit": {
        "description": "The rest of each limit: `r` more requests, which never run out if spread over `t` seconds.",
        "schema": {"type": "string"},
        "example": '"caller";r=412;t=42, "address";r=1104;t=37',
    },
}
"""The headers as the OpenAPI document describes them."""


def note_verdict(request: Request, verdict: Verdict) -> None:
    """Have the answer to this request report these limits."""
    request.state.rate_verdict = verdict


def is_counted(request: Request) -> bool:
    """Return whether a rate limit has counted this request."""
    return hasattr(request.state, "rate_verdict")


def rate_headers(request: Request) -> Mapping[str, str]:
    """Return the headers of the answer; none if no limit applies.

    For a refusal, `RateLimit` has only the limits that refuse, so that no window outlasts Retry-After.
    """
    verdict: Verdict | None = getattr(request.state, "rate_verdict", None)
    if verdict is None or not verdict.allowances:
        return {}
    return {
        "RateLimit-Policy": ", ".join(_policy(one.limit) for one in verdict.allowances),
        "RateLimit": ", ".join(_service_limit(one) for one in verdict.refusing or verdict.allowances),
    }


def _policy(limit: Limit) -> str:
    return f'"{limit.name}";q={limit.rate.most};w={limit.rate.window_s}'


def _service_limit(one: Allowance) -> str:
    """Return the requests that are left, with a window in which they make up the limit's rate.

    A client that divides the two (section 8.5) gets that rate.
    """
    window = one.limit.rate.interval * one.left if one.left else one.wait
    return f'"{one.limit.name}";r={one.left};t={whole_seconds(window)}'
