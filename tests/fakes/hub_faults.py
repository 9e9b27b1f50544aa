"""Faults that a test orders: wrong answers, missing answers, and progress streams that break."""

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

Operation = Literal[
    "get_version",
    "whoami",
    "create_user",
    "get_user",
    "delete_user",
    "start_server",
    "stop_server",
    "note_activity",
    "progress",
    "mint_token",
    "list_tokens",
    "revoke_token",
    "reach_server",
    "read_server",
    "exchange_code",
    "show_page",
    "unknown",
]
How = Literal["answer", "reset", "drop", "hang", "late"]
Ending = Literal["drop", "reset", "end"]
Body = Literal["json", "html", "half", "empty"] | bytes

_BODIES = {
    "html": (b"text/html", b"<html><head><title>%d</title></head><body>A proxy says so.</body></html>"),
    "half": (b"application/json", b'{"status": %d, "mess'),
    "empty": (b"text/plain", b""),
}


@dataclass(kw_only=True)
class Fault:
    """A failure of one operation, and how many more times it happens."""

    operation: Operation
    username: str | None = None
    how: How = "answer"
    """A TCP reset, a closed connection, no answer, or the answer after a pause, instead of a wrong answer."""
    status: int = 503
    body: Body = "json"
    message: str = "Service Unavailable"
    headers: Mapping[str, str] = field(default_factory=dict)
    act: bool = False
    """The Hub carries out the request before the fault hides its answer."""
    hangs_s: float = math.inf
    """With "hang", the time until the fake Hub closes the connection; with "late", until it handles the request."""
    until: asyncio.Event | None = None
    """With "hang" and "late": what the fake Hub waits for, instead of a time."""
    times: float = 1
    """`math.inf`: every time."""

    def hits(self, operation: Operation, username: str | None) -> bool:
        return self.times > 0 and self.operation == operation and self.username in (None, username)

    async def wait(self) -> None:
        """Wait for the time or the event after which "hang" and "late" go on."""
        if self.until is not None:
            await self.until.wait()
        elif math.isinf(self.hangs_s):
            await asyncio.get_running_loop().create_future()
        else:
            await asyncio.sleep(self.hangs_s)

    def content(self) -> tuple[bytes, bytes]:
        """Return content type and body, if the fault is an answer."""
        if isinstance(self.body, bytes):
            return b"application/json", self.body
        if self.body == "json":
            return b"application/json", b'{"status": %d, "message": "%b"}' % (self.status, self.message.encode())
        content_type, text = _BODIES[self.body]
        return content_type, text.replace(b"%d", str(self.status).encode())


@dataclass(kw_only=True)
class Cut:
    """A break in a progress stream, or a way to send it, and how many more times."""

    username: str
    server_name: str = ""
    after_events: float = math.inf
    """`math.inf`: the stream does not break."""
    how: Ending = "drop"
    """With "end", the stream ends as if nothing were wrong."""
    in_event: bool = False
    """The stream breaks in the middle of the next event."""
    piece_bytes: int = 0
    """The stream is sent in pieces of at most this size; 0: unchanged."""
    times: float = 1


class Script(Protocol):
    """Orders faults for requests as they arrive, where none was ordered before."""

    def fault(self, operation: Operation, username: str) -> Fault | None: ...

    def cut(self, username: str, server_name: str) -> Cut | None: ...
