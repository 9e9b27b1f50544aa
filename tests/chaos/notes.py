"""What clients note, of which the verdict is made."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.chaos.plan import LaunchPlan


@dataclass(frozen=True)
class Seen:
    """An event as it came."""

    seq: int
    data: bytes

    @property
    def phase(self) -> str:
        return str(json.loads(self.data)["phase"])


@dataclass
class Pass:
    """One stream, from where it said that it begins."""

    asked: int
    """The cursor that the client sent."""
    cursor: int
    """The cursor that the service says it used."""
    seen: list[Seen] = field(default_factory=list)


@dataclass
class Notes:
    """What one client saw."""

    plan: LaunchPlan
    secrets: dict[str, str] = field(default_factory=dict)
    """By the id of the launch, as every answer to its key told them; more than one is a fault."""
    passes: list[Pass] = field(default_factory=list)
    ended: str = ""
    """The phase of the last event, once it was seen."""
    ready_at: float | None = None
    """When the client saw that its launch was ready, on the loop's clock."""
    asked_to_cancel: bool = False
    is_cancelled: bool = False
    """Whether a cancellation was answered with 204."""
    disconnects: int = 0
    """Streams and requests that broke, or were broken by the client."""
    surprises: list[str] = field(default_factory=list)
    """Answers that the API does not promise."""

    @property
    def ids(self) -> Sequence[str]:
        """Of the launch; none until it was accepted."""
        return sorted(self.secrets)

    @property
    def launch_id(self) -> str:
        return self.ids[0]

    @property
    def shown_secret(self) -> dict[str, str]:
        """As a header."""
        return {"X-Launch-Secret": self.secrets[self.launch_id]}


def event_of(block: bytes) -> Seen | None:
    """The stored event of a block of a stream; None for a heartbeat and the like."""
    fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if b": " in line)
    return Seen(int(fields[b"id"]), fields[b"data"]) if b"id" in fields else None
