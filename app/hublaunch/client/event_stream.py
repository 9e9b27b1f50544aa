"""A parser for server-sent events, fed with chunks of any size.

https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

from collections.abc import Iterator
from dataclasses import dataclass

EVENT_BYTES_MAX = 1_048_576
"""The largest event accepted. Raw Kubernetes events, which KubeSpawner adds to the Hub's, are a few kilobytes."""

RETRY_MAX_S = 300.0
"""The longest `retry:` that is respected."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event: its name, `message` by default, and its data, at most EVENT_BYTES_MAX long."""

    name: str
    content: bytes


class EventTooLarge(ValueError):
    """An event exceeds EVENT_BYTES_MAX."""


class EventStream:
    """Parses one stream, chunk by chunk.

    As the specification says, events without data are dropped, and so is one cut short by the end of the stream. Ids
    are ignored: our events carry their number in their data, and the Hub's events have none.
    """

    retry_s: float | None = None
    """Seconds to wait before a reconnect, from the last `retry:`, at most RETRY_MAX_S."""

    def __init__(self) -> None:
        self._lines = _Lines()
        self._name = ""
        self._parts: list[bytes] = []
        self._part_bytes = 0

    def feed(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        """Yield the events that the chunk completes. Raises EventTooLarge."""
        for line in self._lines.complete(chunk):
            if line:
                self._take_field(line)
                continue
            if self._parts:
                content = b"\n".join(self._parts)
                if len(content) > EVENT_BYTES_MAX:
                    raise EventTooLarge
                yield ServerSentEvent(self._name or "message", content)
            self._name, self._parts, self._part_bytes = "", [], 0
        if self._lines.pending_bytes + self._part_bytes > EVENT_BYTES_MAX:
            raise EventTooLarge

    def _take_field(self, line: bytes) -> None:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._parts.append(value)
            self._part_bytes += len(line)
        elif field == b"event":
            self._name = value.decode(errors="replace")
        elif field == b"retry" and value.isdigit():
            self.retry_s = min(float(value) / 1000, RETRY_MAX_S)


class _Lines:
    """Splits chunks at LF, CR LF and CR, even where one chunk ends in CR and the next begins with LF."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._after_cr = False
        self._at_start = True

    @property
    def pending_bytes(self) -> int:
        return len(self._pending)

    def complete(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the lines that the chunk completes, without line endings."""
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
