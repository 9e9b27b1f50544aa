"""Faults that a test orders: answers that are not the Hub's, no answer at all, and progress streams that break."""

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
    "get_server",
    "stop_server",
    "progress",
    "mint_token",
    "list_tokens",
    "revoke_token",
    "reach_server",
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
    """How one operation fails, and how often it still does."""

    operation: Operation
    username: str | None = None
    how: How = "answer"
    status: int = 503
    body: Body = "json"
    message: str = "Service Unavailable"
    headers: Mapping[str, str] = field(default_factory=dict)
    act: bool = False
    hangs_s: float = math.inf
    """With `how="hang"`: after so long the connection is closed from here."""
    times: float = 1

    def hits(self, operation: Operation, username: str | None) -> bool:
        return self.times > 0 and self.operation == operation and self.username in (None, username)

    def content(self) -> tuple[bytes, bytes]:
        """Content type and body, when the fault is an answer."""
        if isinstance(self.body, bytes):
            return b"application/json", self.body
        if self.body == "json":
            return b"application/json", b'{"status": %d, "message": "%b"}' % (self.status, self.message.encode())
        content_type, text = _BODIES[self.body]
        return content_type, text.replace(b"%d", str(self.status).encode())


@dataclass(kw_only=True)
class Cut:
    """Where a progress stream breaks or how it is sent, and how often it still does."""

    username: str
    server_name: str = ""
    after_events: float = math.inf
    """`math.inf`: it does not break."""
    how: Ending = "drop"
    in_event: bool = False
    """It breaks in the middle of the next event."""
    piece_bytes: int = 0
    """Whatever is sent goes out in pieces of at most so many bytes; 0: as it is."""
    times: float = 1


class Script(Protocol):
    """Orders faults as requests come; asked where none was ordered beforehand."""

    def fault(self, operation: Operation, username: str) -> Fault | None: ...

    def cut(self, username: str, server_name: str) -> Cut | None: ...
