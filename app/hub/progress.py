"""The Hub's progress stream: server-sent events into `Progress`.

https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

import json
import math
import re
from collections.abc import AsyncGenerator, AsyncIterable
from typing import Any

from app.launch.errors import HubUnavailable
from app.launch.ports import Progress

BUFFER_MAX_BYTES = 1_048_576
"""An event that is larger than this is no event of a Hub."""

_OPERATION = "tell of the spawn"
_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\n|\r(?!\Z)")
"""A CR at the very end may be the first half of a CR LF, so it waits for the next chunk."""


async def parse_progress(chunks: AsyncIterable[bytes]) -> AsyncGenerator[Progress]:
    """The events of a progress stream, until the first that is `ready` or `failed`, or the end of the bytes.

    Keepalives and fields other than `data` say nothing. An event that is broken off at the end is dropped.
    HubUnavailable if an event is not JSON of the Hub's kind, or too large.
    """
    async for data in _events(chunks):
        progress = _progress(data)
        yield progress
        if progress.ready or progress.failed:
            return


async def _events(chunks: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
    """The data of each event that has any."""
    data: list[bytes] = []
    size = 0
    async for line in _lines(chunks):
        if line:
            name, _, value = line.partition(b":")
            if name == b"data":
                data.append(value.removeprefix(b" "))
                size += len(value)
                if size > BUFFER_MAX_BYTES:
                    raise HubUnavailable(_OPERATION, "an event is larger than 1 MiB")
        elif data:
            yield b"\n".join(data)
            data, size = [], 0


async def _lines(chunks: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
    buffer, is_first = b"", True
    async for chunk in chunks:
        buffer += chunk
        if is_first:
            if len(buffer) < len(_BOM) and _BOM.startswith(buffer):
                continue
            buffer, is_first = buffer.removeprefix(_BOM), False
        *lines, buffer = _LINE_END.split(buffer)
        for line in lines:
            yield line
        if len(buffer) > BUFFER_MAX_BYTES:
            raise HubUnavailable(_OPERATION, "a line is longer than 1 MiB")
    if buffer.endswith(b"\r"):
        yield buffer.removesuffix(b"\r")


def _progress(data: bytes) -> Progress:
    try:
        event: Any = json.loads(data.decode(errors="replace"))
    except ValueError:
        event = None
    if not isinstance(event, dict):
        raise HubUnavailable(_OPERATION, "an event is not what JupyterHub sends")
    message, url = event.get("message"), event.get("url")
    return Progress(
        message=message if isinstance(message, str) else "",
        progress=_percent(event.get("progress")),
        ready=event.get("ready") is True,
        failed=event.get("failed") is True,
        url=url if isinstance(url, str) else None,
    )


def _percent(progress: object) -> int | None:
    """0 to 100; None for what is no number."""
    if isinstance(progress, bool) or not isinstance(progress, int | float) or math.isnan(progress):
        return None
    return int(max(0, min(100, progress)))
