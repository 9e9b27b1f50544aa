"""How the command line words problems, events and positions."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from hublaunch.cli.output import printable
from hublaunch.client import LaunchEvent, Position, Problem

_CREDENTIALS = "--token-file or HUBLAUNCH_TOKEN"
_WORDS: Mapping[str, Mapping[str, Any]] = {
    "unauthenticated": {
        "detail": "",
        "advice": f"Pass a valid token of your JupyterHub user, or an API key, with {_CREDENTIALS}.",
    },
    "secret_required": {
        "detail": "",
        "advice": f"Run this on the machine that started the launch, or pass its caller's token with {_CREDENTIALS}.",
    },
    "nothing_to_extend": {"advice": "`hublaunch list` shows which of your servers will be stopped, and when."},
    "session_limit_reached": {"advice": "Ask for less, and save your work before the server is stopped."},
    "already_launching": {"advice": "Wait for that launch to end; `hublaunch list` shows yours."},
    "already_running": {"advice": "Watch or cancel that launch, or use its server with --if-running reuse."},
    "quota_reached": {
        "advice": "Cancel a launch that you no longer need (`hublaunch list` shows yours), or wait a minute."
    },
    "rate_limited": {"advice": "Try again later. Launches in progress continue."},
    "launch_not_found": {"advice": "Check the id; `hublaunch list` shows your launches."},
    "server_stopped": {"advice": "Launch again."},
    "service_stopping": {"advice": "Try again in a few seconds."},
    "invalid_request": {"advice": "Correct the argument and try again."},
    "body_too_large": {"advice": "Shorten the arguments."},
    "uri_too_long": {"advice": "Check the id."},
    "not_found": {"detail": "", "advice": "Check that --url, or HUBLAUNCH_URL, is the address of the service."},
}
"""Replacements by problem code; `""` drops a field. The API's words speak of headers and requests."""


def problem_text(problem: Problem) -> str:
    """Return the sentences of a problem for a reader at a shell."""
    return str(replace(problem, **_WORDS.get(problem.code, {})))


def event_text(event: LaunchEvent) -> str:
    """Return an event's message on one line; the last event also says what to do next."""
    if event.phase == "ready" and event.open_url:
        return printable(f"{event.message.removesuffix('.')}: {event.open_url}")
    if event.problem:
        return printable(problem_text(event.problem))
    return printable(event.message)


def position_text(position: Position) -> str:
    """Return `3 of 12 in the queue`, or `out of the queue` once the launch is admitted."""
    return f"{position.position} of {position.queue_size} in the queue" if position.position else "out of the queue"


def usual_text(seconds: float, *, is_long: bool) -> str:
    """Return `Usually 40 s`, or `Longer than usual; usually 40 s` if the start takes longer than nine of ten."""
    if seconds >= 90:
        usual = f"{round(seconds / 60)} min"
    else:
        usual = f"{max(1, round(seconds)) if seconds < 10 else round(seconds / 5) * 5} s"
    return f"Longer than usual; usually {usual}" if is_long else f"Usually {usual}"


def clock(at: datetime | None = None) -> str:
    """Return the local time of day of `at`, or of now."""
    return f"{(at or datetime.now().astimezone()).astimezone():%H:%M:%S}"
