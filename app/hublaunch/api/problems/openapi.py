"""The OpenAPI document's description of problems: each with the body that is really sent."""

import json
from collections.abc import Mapping
from typing import Any

from hublaunch.api.problems.response import ProblemResponse, http_problem, launch_problem
from hublaunch.launch import errors

_EXAMPLES: Mapping[int, errors.LaunchError] = {
    401: errors.Unauthenticated("This service does not know this token or key."),
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
_ON_EVERY_PATH = (414, 421, 431)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI's `responses` for problems of these statuses and of those that any path can answer.

    401 implies 429: wrong credentials that come too often are rate limited.
    """
    rate_limited = {429} if 401 in statuses else set()
    return {status: _response(status) for status in sorted({*statuses, *rate_limited, *_ON_EVERY_PATH})}


def _response(status: int) -> dict[str, Any]:
    error = _EXAMPLES.get(status)
    example = json.loads(bytes((launch_problem(error) if error else http_problem(status)).body))
    schema = {"$ref": "#/components/schemas/ProblemBody"}
    return {
        "description": example["title"],
        "content": {ProblemResponse.media_type: {"schema": schema, "example": example}},
    }


DOCUMENTED_EVERYWHERE = documented(500)
"""The problems that any request may meet."""
