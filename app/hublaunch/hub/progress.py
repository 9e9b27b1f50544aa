"""The Hub's progress stream: bytes in, events out."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from hublaunch.client.event_stream import EventStream, EventTooLarge
from hublaunch.hub.markup import words_of
from hublaunch.hub.operations import Operation
from hublaunch.launch.errors import HubUnavailable
from hublaunch.launch.ports import Progress
from hublaunch.launch.rules.raw_event import RawEvent

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTAINER = re.compile(r"spec\.\w{1,30}\{([^}]{1,63})\}")
"""The field of a pod that an event is about, such as `spec.initContainers{git}`."""


class ProgressStream:
    """Parser of the Hub's progress stream, chunk by chunk: `GET /users/{name}/servers/{server_name}/progress`.

    An event cut short by the end of the stream is dropped, as the specification of server-sent events says.
    """

    def __init__(self) -> None:
        self._stream = EventStream()

    def feed(self, chunk: bytes) -> Iterator[Progress]:
        """Yield the events that the chunk completes.

        Raises HubUnavailable if an event is not a JSON object or is longer than EVENT_BYTES_MAX.
        """
        try:
            for arrived in self._stream.feed(chunk):
                yield _progress(arrived.content)
        except EventTooLarge:
            raise _broken("an event is too large") from None


def _progress(content: bytes) -> Progress:
    try:
        event = json.loads(content.decode(errors="replace"))
    except (ValueError, RecursionError) as error:
        raise _broken("an event is not JSON") from error
    if not isinstance(event, dict):
        raise _broken("an event is not a JSON object")
    return Progress(
        message=_message(event),
        progress=_percent(event.get("progress")),
        ready=event.get("ready") is True,
        failed=event.get("failed") is True,
        url=_text(event.get("url")),
        hub_event=event,
        raw_event=_raw_event(event.get("raw_event")),
    )


def _raw_event(event: Any) -> RawEvent | None:
    """Return the event of Kubernetes, or None if it says nothing."""
    if not isinstance(event, dict) or not (message := _text(event.get("message"))):
        return None
    involved = event.get("involvedObject")
    container = _CONTAINER.fullmatch(_text(involved.get("fieldPath")) or "") if isinstance(involved, dict) else None
    return RawEvent(
        message=message,
        reason=_text(event.get("reason")) or "",
        type=_text(event.get("type")) or "",
        container=container[1] if container else "",
    )


def _message(event: dict[str, Any]) -> str:
    """Return the event's message, or its HTML's text if the message is empty or only says that the spawn failed."""
    message = _text(event.get("message")) or ""
    if message.removeprefix("Spawn failed:").strip():
        return message
    return words_of(_text(event.get("html_message")) or "") or message


def _text(value: Any) -> str | None:
    """Return the string so that it can be encoded: JSON may hold half a surrogate pair. None if it is not a string."""
    return _LONE_SURROGATE.sub("\ufffd", value) if isinstance(value, str) else None


def _percent(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and math.isnan(value):
        return None
    return int(min(max(value, 0), 100))


def _broken(reason: str) -> HubUnavailable:
    """Return the error without the content: that may be a proxy's page, and visitors see the error."""
    return HubUnavailable(Operation.PROGRESS, reason)
