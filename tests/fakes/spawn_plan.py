"""The plan of one spawn, for both the fake Hub and the real Hub's test spawner.

Only the standard library: the spawner of `tests/hubs` runs in the Hub's own Python, which may have nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

OPTION = "test_spawn"
"""The key in `user_options` that holds a plan."""

Message = str | Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class SpawnPlan:
    """How a spawner behaves when it starts a server."""

    messages: Sequence[Message] = ("Spawning server...",)
    """Progress events, spread evenly over the spawn. A text gets a rising `progress`; a mapping is sent unchanged."""
    seconds: float | None = None
    """The time until the server answers or the spawn fails. None: the Hub's default."""
    fails: str | None = None
    """The text of the exception that ends the spawn; `""` as after `start_timeout`."""
    status: int | None = None
    """With `fails`: the exception is an HTTP error of this status, so the POST answers with it and the text."""
    never: bool = False
    """After its messages the spawn does not end until the test releases it, or `start_timeout` has passed."""
    start_timeout: float | None = None
    """The time after which the spawn fails without a reason. None: the Hub's default."""
    stop_seconds: float | None = None
    """The duration of a stop. None: the Hub's default."""
    never_stops: bool = False
    """A stop does not end until the test releases it."""
    start_returns: bool = False
    """The spawner's `start()` has returned, and the Hub waits for the server's port. A Hub killed now resumes it."""

    @classmethod
    def from_options(cls, user_options: Mapping[str, Any]) -> "SpawnPlan | None":
        plan = user_options.get(OPTION)
        return None if plan is None else cls(**plan)

    def timeline(self, seconds: float) -> list[tuple[float, dict[str, Any]]]:
        """Return each progress event with its time in seconds."""
        count = len(self.messages)
        return [(seconds * n / count, _event(message, n, count)) for n, message in enumerate(self.messages)]


def _event(message: Message, position: int, count: int) -> dict[str, Any]:
    if isinstance(message, str):
        return {"progress": round(100 * (position + 1) / (count + 1)), "message": message}
    return dict(message)
