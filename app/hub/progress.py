"""The Hub's progress stream, bytes in, events out."""

import json
import math
import re
from collections.abc import AsyncGenerator, AsyncIterable
from typing import Any

from app.event_stream import EventStream, EventTooLarge
from app.hub.operations import Operation
from app.launch.errors import HubUnavailable
from app.launch.ports import Progress

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


async def parse_progress(chunks: AsyncIterable[bytes]) -> AsyncGenerator[Progress]:
    """The events of the Hub's progress stream, split into chunks in any way, up to the first `ready` or `failed`.

    Ends too where `chunks` end; an event cut short there is dropped, as the specification of server-sent events says.
    HubUnavailable if an event is not a JSON object or longer than EVENT_BYTES_MAX. What `chunks` raises passes through,
    and `chunks` is left for the caller to close. `GET /users/{name}/servers/{server_name}/progress`.
    """
    stream = EventStream()
    async for chunk in chunks:
        try:
            for arrived in stream.feed(chunk):
                event = _progress(arrived.content)
                yield event
                if event.ready or event.failed:
                    return
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
        message=_text(event.get("message")) or "",
        progress=_percent(event.get("progress")),
        ready=event.get("ready") is True,
        failed=event.get("failed") is True,
        url=_text(event.get("url")),
    )


def _text(value: Any) -> str | None:
    """A string that can be encoded: JSON may hold half a surrogate pair."""
    return _LONE_SURROGATE.sub("\ufffd", value) if isinstance(value, str) else None


def _percent(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and math.isnan(value):
        return None
    return int(min(max(value, 0), 100))


def _broken(reason: str) -> HubUnavailable:
    """Says what is wrong, not what was sent: that may be a proxy's page, and failures are shown to visitors."""
    return HubUnavailable(Operation.PROGRESS, reason)
