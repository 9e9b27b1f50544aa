"""The store's role as the queue: which launches wait, and which may go to the Hub."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from hublaunch.launch.model import Launch, Step
from hublaunch.launch.rules.guard import Failing, Guard, GuardState
from hublaunch.launch.rules.queue_order import Weight


@dataclass(frozen=True, kw_only=True, slots=True)
class Admitted:
    """A launch that may go to the Hub, and its deadline."""

    launch_id: str
    admitted_at: datetime
    deadline_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class AdmissionRound:
    """The result of admitting launches once."""

    admitted: Sequence[Admitted]
    refused: Mapping[str, Failing]
    """Launches, by id, whose images are refused for now."""
    guard: GuardState
    is_draining: bool
    """Whether an operator is holding the queue, so that nothing is admitted."""
    holds_back: bool
    """Whether launches wait although the Hub has room, because the guard or the operator does not admit them."""
    gave_way: int = 0
    """How many members of warm pools that were starting are stopped, because launches need their places."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Positions:
    """The order of the queue."""

    launch_ids: Sequence[str]
    """The next launch to be admitted comes first."""
    admitted_lately: int
    """The number of launches admitted in the requested time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Capacity:
    """Numbers of launches over all processes, and the state of the Hub guard."""

    launching: int
    """Launches at the Hub."""
    stalled: int
    """Launches about which the Hub has said nothing new for longer than usual."""
    waiting: int
    waiting_since: datetime | None
    """When the oldest launch in the queue was accepted; None if the queue is empty."""
    ready: int
    """Launches whose servers run, as far as is known."""
    hub_busy_for_s: float | None
    """Seconds until the Hub accepts spawns again; None if it did not ask for a pause."""
    guard: GuardState
    failures: int
    """Failed spawns in a row."""
    window: int | None
    """The guard's limit of launches at once; None if the guard is off."""
    failing_images: int
    is_draining: bool
    """Whether an operator is refusing new launches and holding the queue."""


class LaunchQueue(Protocol):
    """Admits launches of all processes, in the order of the queue and as far as the guard allows."""

    async def admit(self, *, most: int, weight: Weight, guard: Guard) -> AdmissionRound:
        """Admit launches until `most` are at the Hub; none during a pause.

        Launches that the guard does not admit stay in the queue, and others pass them.
        """

    async def requeue(
        self, launch: Launch, step: Step, *, time_left_s: float, waits_until: datetime, pause_s: float
    ) -> None:
        """Append a step and put the launch back into the queue. Nothing is admitted for `pause_s`.

        Raises LeaseLost and ValueError as in `LaunchLog.append`.
        """

    async def positions(self, *, weight: Weight, lately_s: float) -> Positions:
        """Return the queue in order, and the number of launches admitted in the last `lately_s`."""

    async def capacity(self, *, guard: Guard, most: int) -> Capacity:
        """Count launches. `most`: the limit of launches at the Hub at once."""

    async def failing(self, *, guard: Guard) -> Mapping[str, Failing]:
        """Return the images that are refused for now, named as by `known_as`, and why."""

    async def is_proven(self, image: str) -> bool:
        """Return whether a server of this image was ready within the last hour."""

    async def draining_since(self) -> datetime | None:
        """Return since when an operator has been refusing new launches and holding the queue; None if nobody is."""

    async def note_hub(self, hub: str, *, before_s: float) -> bool:
        """Note the Hub's name, which changes with each of its starts. Return whether the Hub was restarted.

        A restarted Hub counts no earlier failure. `before_s` is how long ago the Hub was last seen under its previous
        name; a failure since then may belong to either.
        """
