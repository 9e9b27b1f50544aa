"""How one spawn goes, in words that the fake Hub and the real Hub's test spawner both understand.

The standard library alone: the spawner of `tests/hubs` runs in the Hub's own Python, which may hold nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

OPTION = "test_spawn"
"""The key in `user_options` under which a test tells the spawner what to do."""

Message = str | Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class SpawnPlan:
    """What a spawner does once it is asked to start a server."""

    messages: Sequence[Message] = ("Spawning server...",)
    """Progress events, spread evenly over the spawn. A text gets a rising `progress`, a mapping goes out as is."""
    seconds: float | None = None
    """Until the server answers, or the spawn fails. None: what the Hub takes by default."""
    fails: str | None = None
    """The text of the exception that ends the spawn; `""` is what running into `start_timeout` leaves."""
    status: int | None = None
    """With `fails`: the exception is an HTTP error of this status, so POST gives it and the text to its caller."""
    never: bool = False
    """After its messages the spawn neither succeeds nor fails by itself."""
    stop_seconds: float | None = None
    """How long the server takes to stop. None: what the Hub takes by default."""
    start_returns: bool = False
    """The spawner's `start()` has returned, and the Hub waits for the server's port: what a Hub killed now resumes."""

    @classmethod
    def from_options(cls, user_options: Mapping[str, Any]) -> "SpawnPlan | None":
        told = user_options.get(OPTION)
        return None if told is None else cls(**told)

    def timeline(self, seconds: float) -> list[tuple[float, dict[str, Any]]]:
        """Each progress event with the second at which it happens."""
        count = len(self.messages)
        return [(seconds * n / count, _event(message, n, count)) for n, message in enumerate(self.messages)]


def _event(message: Message, position: int, count: int) -> dict[str, Any]:
    if isinstance(message, str):
        return {"progress": round(100 * (position + 1) / (count + 1)), "message": message}
    return dict(message)
