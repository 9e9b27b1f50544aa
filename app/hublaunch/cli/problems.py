"""Problems of the service, in the words of the command line: the API's speak of headers and of requests."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hublaunch.client import Problem

_CREDENTIALS = "--token-file or HUBLAUNCH_TOKEN"
_WORDS: Mapping[str, Mapping[str, Any]] = {
    "unauthenticated": {
        "detail": "",
        "advice": f"Give a valid token of your JupyterHub user, or an API key, with {_CREDENTIALS}.",
    },
    "secret_required": {
        "detail": "",
        "advice": f"Run this where the launch was begun, or give the token of its caller with {_CREDENTIALS}.",
    },
    "already_launching": {"advice": "Wait for that launch to end; `hublaunch list` shows yours."},
    "already_running": {"advice": "Watch or cancel that launch, or give --if-running reuse to get its server."},
    "quota_reached": {
        "advice": "Cancel a launch that you no longer need (`hublaunch list` shows yours), or wait a minute."
    },
    "rate_limited": {"advice": "Try again then. Running launches go on."},
    "launch_not_found": {"advice": "Check the id; `hublaunch list` shows your launches."},
    "server_stopped": {"advice": "Launch again."},
    "service_stopping": {"advice": "Try again in a few seconds."},
    "invalid_request": {"advice": "Correct it and try again."},
    "body_too_large": {"advice": "Shorten the arguments."},
    "uri_too_long": {"advice": "Check the id."},
    "not_found": {"detail": "", "advice": "Check that --url, or HUBLAUNCH_URL, is the address of the service."},
}
"""By code, the fields that read otherwise here; `""` leaves a field out."""


def problem_told(problem: Problem) -> str:
    """Return the sentences of a problem for somebody at a shell."""
    return str(replace(problem, **_WORDS.get(problem.code, {})))
