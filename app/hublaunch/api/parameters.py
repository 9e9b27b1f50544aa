"""Parameters of requests, and how they are validated."""

import re
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Path
from pydantic import AfterValidator, AwareDatetime

from hublaunch.launch.errors import LaunchNotFound

ULID = "[0-7][0-9A-HJKMNP-TV-Z]{25}"
_ULID = re.compile(ULID)


def _launch_id(text: str) -> str:
    """Return a launch's id. Raises LaunchNotFound without asking the database if it is not a ULID."""
    if not _ULID.fullmatch(text):
        raise LaunchNotFound
    return text


def _utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("must be a time that a launch can have") from None


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must contain only printable characters")
    return text


LaunchId = Annotated[str, Path(description="The launch's id."), AfterValidator(_launch_id)]
Since = Annotated[AwareDatetime, AfterValidator(_utc)]
Text = Annotated[str, AfterValidator(_printable)]


def cursor_of(last_event_id: str | None, after: int) -> int:
    """Return the number of the last event that the client has received.

    An unknown `Last-Event-ID` counts as 0, because a browser's `EventSource` would never reconnect after a 400.
    """
    if last_event_id is None:
        return after
    is_number = last_event_id.isascii() and last_event_id.isdecimal() and len(last_event_id) < 10
    return int(last_event_id) if is_number else 0
