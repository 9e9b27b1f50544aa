"""The Hub's progress stream, bytes in, events out.

https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

import json
import math
import re
from collections.abc import AsyncGenerator, AsyncIterable, Iterator
from typing import Any

from app.launch.errors import HubUnavailable
from app.launch.ports import Progress

EVENT_BYTES_MAX = 1_048_576
"""Raw Kubernetes events, which KubeSpawner adds, are some kilobytes."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


async def parse_progress(chunks: AsyncIterable[bytes]) -> AsyncGenerator[Progress]:
    """The events of the Hub's progress stream, split into chunks in any way, up to the first `ready` or `failed`.

    Ends too where `chunks` end; an event cut short there is dropped, as the specification of server-sent events says.
    HubUnavailable if an event is not a JSON object or longer than EVENT_BYTES_MAX. What `chunks` raises passes through,
    and `chunks` is left for the caller to close. `GET /users/{name}/servers/{server_name}/progress`.
    """
    lines = _Lines()
    events = _EventData()
    async for chunk in chunks:
        for line in lines.complete(chunk):
            content = events.add(line)
            if content is not None:
                event = _progress(content)
                yield event
                if event.ready or event.failed:
                    return
        if lines.pending_bytes + events.pending_bytes > EVENT_BYTES_MAX:
            raise _broken("an event is too large")


class _Lines:
    """Splits chunks at LF, CR LF and CR, also where one chunk ends in CR and the next begins with LF."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._after_cr = False
        self._at_start = True

    @property
    def pending_bytes(self) -> int:
        return len(self._pending)

    def complete(self, chunk: bytes) -> Iterator[bytes]:
        """The lines that end within the chunk, without their ends."""
        if not chunk:
            return
        rest = chunk.removeprefix(b"\n") if self._after_cr else chunk
        self._after_cr = chunk.endswith(b"\r")
        *ended, rest = rest.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        for end in ended:
            self._pending += end
            yield self._take()
        self._pending += rest

    def _take(self) -> bytes:
        line = bytes(self._pending)
        self._pending.clear()
        if self._at_start:
            self._at_start = False
            return line.removeprefix(_BYTE_ORDER_MARK)
        return line


class _EventData:
    """Gathers the `data` of one event; comments and other fields say nothing here."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.pending_bytes = 0

    def add(self, line: bytes) -> bytes | None:
        """The whole data, once `line` is the blank one that ends an event which has any."""
        if line:
            name, _, value = line.partition(b":")
            if name == b"data":
                self._parts.append(value.removeprefix(b" "))
                self.pending_bytes += len(line)
            return None
        if not self._parts:
            return None
        content = b"\n".join(self._parts)
        self._parts = []
        self.pending_bytes = 0
        return content


def _progress(content: bytes) -> Progress:
    if len(content) > EVENT_BYTES_MAX:
        raise _broken("an event is too large")
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
    return HubUnavailable("tell of the spawn", reason)
