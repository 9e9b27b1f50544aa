"""What keeps the service from working as usual, in the words of every place that names it."""

from enum import Enum
from typing import Literal

from hublaunch.launch.errors import (
    HubBusy,
    HubForbidden,
    HubTokenUnknown,
    HubUnavailable,
    LaunchError,
    NotTheHub,
    QueueFull,
    ServiceDraining,
    ServiceStopping,
    StorageFull,
)

Light = Literal["green", "yellow", "red"]

SLOW_S = 1.0
"""From here on, an answer of the Hub is slow."""
CLOCK_OFF_S = 5.0
"""The seconds by which clocks may differ. A `Date` header has whole seconds, and takes time to arrive."""


def _of(light: Light, problem: type[LaunchError]) -> tuple[Light, str, str]:
    return light, problem.code, problem.title


class Condition(Enum):
    """A condition of the service: its `code`, its `title`, and its `light`.

    Red: a new launch is refused or fails, or waits until somebody acts. Yellow: it may have to wait, or something needs
    attention. A condition that is also the problem of a launch has that problem's code and title.
    """

    def __init__(self, light: Light, code: str, title: str) -> None:
        self.light = light
        self.code = code
        self.title = title

    STOPPING = _of("red", ServiceStopping)
    DATABASE_FAILING = "red", "database_failing", "The database cannot be read or written"
    STORAGE_FULL = _of("red", StorageFull)
    TASK_DOWN = "red", "task_down", "A background task of this service failed and is being restarted"
    HUB_UNAVAILABLE = _of("red", HubUnavailable)
    NOT_THE_HUB = _of("red", NotTheHub)
    HUB_TOKEN_UNKNOWN = _of("red", HubTokenUnknown)
    HUB_FORBIDDEN = _of("red", HubForbidden)
    DRAINING = _of("red", ServiceDraining)
    GUARD_PAUSED = "red", "guard_paused", "Too many servers in a row failed to start, and the operator must act"
    QUEUE_FULL = _of("red", QueueFull)
    QUEUE_WAITING = "yellow", "queue_waiting", "Launches are waiting in the queue"
    HUB_BUSY = _of("yellow", HubBusy)
    HUB_SLOW = "yellow", "hub_slow", "JupyterHub answers slowly"
    GUARD_CAREFUL = "yellow", "guard_proven_only", "Several servers failed to start, so only proven images are launched"
    CLOCK_OFF = "yellow", "clock_off", "The clocks of two machines differ"
    LIMITS_UNUSABLE = "yellow", "limits_unusable", "The file of limits cannot be used, so the previous limits apply"
    CATALOGUE_UNUSABLE = (
        "yellow",
        "catalogue_unusable",
        "The file of the catalogue cannot be used, so the previous catalogue applies",
    )

    @property
    def words(self) -> str:
        """The title with the code, as for a problem: `title (code)`."""
        return f"{self.title} ({self.code})"


def of_clock(ahead_s: float | None) -> Condition | None:
    """Return the condition if a clock is that far ahead of this machine's; None if it agrees, or is unknown."""
    return Condition.CLOCK_OFF if ahead_s is not None and abs(ahead_s) > CLOCK_OFF_S else None
