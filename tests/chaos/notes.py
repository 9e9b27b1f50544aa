"""Notes that clients take, which the verdict is based on."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.chaos.plan import LaunchPlan


@dataclass(frozen=True)
class Seen:
    """An event as it arrived."""

    seq: int
    data: bytes

    @property
    def phase(self) -> str:
        return str(json.loads(self.data)["phase"])


@dataclass
class Pass:
    """One stream, from the cursor at which the service says it begins."""

    asked: int
    """The cursor that the client sent."""
    cursor: int
    """The cursor that the service says it used."""
    seen: list[Seen] = field(default_factory=list)


@dataclass
class Notes:
    """Everything that one client saw."""

    plan: LaunchPlan
    secrets: dict[str, str] = field(default_factory=dict)
    """Secrets by launch id, from every answer to the client's key. More than one id is a fault."""
    passes: list[Pass] = field(default_factory=list)
    ended: str = ""
    """The phase of the last event, once the client has seen it; empty before."""
    ready_at: float | None = None
    """When the client saw that its launch was ready, on the loop's clock."""
    asked_to_cancel: bool = False
    is_cancelled: bool = False
    """Whether a cancellation was answered with 204."""
    disconnects: int = 0
    """The number of streams and requests that broke or that the client broke off."""
    surprises: list[str] = field(default_factory=list)
    """Answers that the API does not promise."""

    @property
    def ids(self) -> Sequence[str]:
        """The ids of the launch. There is one id once the launch was accepted."""
        return sorted(self.secrets)

    @property
    def launch_id(self) -> str:
        return self.ids[0]

    @property
    def shown_secret(self) -> dict[str, str]:
        """The secret as a header."""
        return {"X-Launch-Secret": self.secrets[self.launch_id]}


def event_of(block: bytes) -> Seen | None:
    """Return the stored event in a block of a stream, or None for heartbeats and the like."""
    fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if b": " in line)
    return Seen(int(fields[b"id"]), fields[b"data"]) if b"id" in fields else None
