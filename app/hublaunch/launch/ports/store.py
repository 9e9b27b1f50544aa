"""What the core asks of the records: launches and their logs, who has which launch, and the queue."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from hublaunch.launch.acceptance.idempotency import IdempotencyKey
from hublaunch.launch.changes import Change
from hublaunch.launch.model import Attempt, Caller, Event, Launch, Status, Step
from hublaunch.launch.rules.guard import Failing, Guard, GuardState
from hublaunch.launch.rules.queue_order import Weight, equal
from hublaunch.launch.rules.quota import Quota


class LeaseLost(Exception):
    """The launch is not this process's any more, so what was to be done for it is not done."""


class StoreFault(Exception):
    """The records did not answer, so nobody knows whether what was to be written is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """A launch that this process is to bring to its end."""

    launch_id: str
    fence: int
    cancel_requested: bool
    admitted: "Admitted | None"
    """None while it waits in the queue."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Admitted:
    """A launch that may go to the Hub, and until when."""

    launch_id: str
    admitted_at: datetime
    deadline_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class LetThrough:
    """What a look at the queue came to."""

    admitted: Sequence[Admitted]
    refused: Mapping[str, Failing]
    """The launches, by their ids, of images that are not launched for now."""
    guard: GuardState
    holds_back: bool
    """Whether there is room at the Hub for those that still wait, and the guard does not let them through."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Queue:
    """The line as it stands."""

    launch_ids: Sequence[str]
    """In the order in which they will be admitted."""
    admitted_lately: int
    """How many were admitted in the time that was asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Capacity:
    """How much there is of what, over all processes."""

    launching: int
    """Launches that are at the Hub."""
    waiting: int
    waiting_since: datetime | None
    """When the oldest of those in the queue was accepted; None if there is none."""
    ready: int
    """Launches whose servers are up, as far as is known."""
    hub_busy_for_s: float | None
    """How much longer the Hub asked to be left alone; None if it did not."""
    guard: GuardState
    failures: int
    """In a row."""
    window: int | None
    """Of the guard; None if it is off."""
    failing_images: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """Which launches of a list are wanted; None is any."""

    caller: Caller | None = None
    status: Status | None = None
    repo_url: str | None = None
    image: str | None = None
    image_name: str | None = None
    """By the name that the image is counted as (`quotas.py`)."""
    repo_name: str | None = None
    """By the name that the repository is counted as; `""` is none."""
    is_active: bool = False
    """Only those under way or ready."""
    username: str | None = None
    """Whose account at the Hub the latest attempt is on."""
    since: datetime | None = None
    """Accepted then or later."""
    before: str | None = None
    """Accepted before the launch of this id."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Only:
    """That a launch is accepted only if none of its caller's active ones would be a second one of it."""

    wanted: Wanted
    """Where to look for those, and among how many of them at most."""
    most: int
    counts: Callable[[Launch], bool]
    """Whether this one of them would be."""


class LaunchStore(Protocol):
    """The records. Every method is one transaction, stored when it returns.

    A launch under way belongs to one process at a time. What is written of it carries the fence of the launch as the
    process has it: LeaseLost, and nothing is written, once another process has taken the launch over.

    A cancelled call may still be carried out. After a fault of the database the call raises what the database said;
    what was asked is then mostly not stored, but may be, if it was the commit that was not answered.
    """

    async def accept(
        self,
        launch: Launch,
        key: IdempotencyKey | None = None,
        *,
        only: Only | None = None,
        quotas: Sequence[Quota] = (),
        most_under_way: int | None = None,
        weight: Weight = equal,
    ) -> Launch:
        """Store a new launch with its first attempt and first event. This process owns it, and it waits in the queue.

        Returns it; or, if a launch of the same key was accepted before, that one, and nothing is stored.
        IdempotencyKeyReused if that was for another request. AlreadyRunning if it would not be the `only` one,
        AlreadyLaunching if another launch of the same server is under way, QuotaReached for the first of `quotas` that
        is used up, QueueFull if `most_under_way` launches are queued or at the Hub and none of them makes
        room (`rules/displacement.py`). All are held over all that accept, in whatever process. StorageFull if the disk
        has too little room.

        A launch that makes room ends with Displaced, in the same transaction: its last event is stored, and nothing of
        it is left to clean up.
        """

    async def find(self, key: IdempotencyKey) -> Launch | None:
        """The launch that was accepted with this key, while the key is kept; IdempotencyKeyReused."""

    async def begin_attempt(self, launch: Launch, attempt: Attempt) -> None:
        """Store the next attempt of a launch, before anything is asked of the Hub for it."""

    async def append(self, launch: Launch, step: Step) -> Event:
        """Store a step as the launch's next event; its phase becomes the launch's status, its token is sealed.

        A launch that is ready belongs to nobody any more. What a failed or cancelled one has not cleaned up is due to
        be. ValueError if the launch's status may not become that phase.
        """

    def subscribe(self, listener: Callable[[Event], None]) -> None:
        """Call `listener` with every event from then on, in the event loop, once it is stored and in its order.

        It is told also if the caller of `append` was cancelled meanwhile. What it raises is logged, and all others
        are told all the same.
        """

    def on_change(self, listener: Callable[[Change], None]) -> None:
        """Call `listener` with every change that this process makes from then on; otherwise as `subscribe`.

        Both are called in the context (`contextvars`) of whoever asked for what is stored.
        """

    def on_growth(self, listener: Callable[[str, int], None]) -> None:
        """Call `listener` with a launch's id and its last `seq` when another process has stored events of it.

        A hint: it may come late, twice or never. `ends` tells the truth.
        """

    def on_work(self, listener: Callable[[], None]) -> None:
        """Call `listener` when another process has left something to do: to cancel a launch, or to adopt some."""

    async def request_cancel(self, launch_id: str, *, by: Caller | None = None) -> None:
        """Note that somebody asked to cancel, for whoever has the launch; the first such request counts.

        Who it was (`by`) is not kept, but told of.
        """

    async def mark_cleaned(self, launch: Launch, attempt: Attempt, *, again_in_s: float | None = None) -> None:
        """Note that nothing of this attempt is left at the Hub; after `again_in_s` it is due to be looked at again."""

    async def mark_stopped(self, launch: Launch, *, stopped_by: str, clean_in_s: float | None) -> None:
        """A ready launch's server is gone: its status becomes `stopped`. No event: the stream has ended.

        What its attempt left is due to be cleaned up after `clean_in_s`; None if there is nothing. ValueError if the
        launch is not ready.
        """

    async def get(self, launch_id: str) -> Launch | None:
        """The launch as it stands."""

    async def launches(self, wanted: Wanted, *, limit: int | None) -> Sequence[Launch]:
        """The newest first."""

    async def events(self, launch_id: str, *, after: int) -> Sequence[Event]:
        """The launch's events with a `seq` above `after`, in order."""

    async def ends(self, launch_ids: Collection[str]) -> Mapping[str, int]:
        """The last `seq` of each of these launches."""

    # --- the queue: `admission.py` ------------------------------------------------------------

    async def admit(self, *, most: int, weight: Weight, guard: Guard) -> LetThrough:
        """Admit launches of all processes in the order of the queue, until `most` are in flight; none during a pause.

        Those that the guard does not let through stay in the queue, and others pass them.
        """

    async def failing(self, *, guard: Guard) -> Mapping[str, Failing]:
        """The images that are not launched for now, as `known_as` names them, and why."""

    async def note_hub(self, hub: str, *, before_s: float) -> bool:
        """Note by which name the Hub is seen, which changes with each of its starts; whether it was restarted.

        A Hub that was restarted counts no failure of before. `before_s`: how long ago it was last seen under the name
        before; a failure since may be of either.
        """

    async def queue(self, *, weight: Weight, lately_s: float) -> Queue:
        """The line as it stands, and how many were admitted in the last `lately_s`."""

    async def capacity(self, *, guard: Guard, most: int) -> Capacity:
        """How much there is of what, where `most` launches may be at the Hub."""

    async def put_back(
        self, launch: Launch, step: Step, *, time_left_s: float, waits_until: datetime, pause_s: float
    ) -> None:
        """Append a step; the launch stands in the queue again, and nothing is admitted for `pause_s`."""

    # --- who has which launch: `lease.py` and `reaper.py` -------------------------------------------------------------

    async def hold(self) -> Sequence[Held]:
        """Renew this process's lease for another lease time, and tell which launches it has to bring to their end."""

    async def adopt(self, *, limit: int) -> Sequence[Launch]:
        """Take over launches that are to be brought to their end and belong to no living process, oldest first.

        Those are the ones under way, ready ones whose cancellation was requested, and those with an attempt that is due
        to be cleaned up. A process lives for one lease time after its last `hold` or `adopt`; what it has stays its own
        until another takes it over, however late it is.
        """

    async def release(self) -> None:
        """Give up the lease: every launch of this process may be adopted at once."""

    async def due(self, launch_id: str) -> Sequence[Attempt]:
        """The attempts of a launch that are due to be cleaned up."""

    async def doubt(self, launch_id: str) -> None:
        """Make every attempt that the launch does not stand on due to be cleaned up again. Needs no lease.

        For a process that lost the launch and may have acted at the Hub since.
        """

    async def ready_to_look_up(self, *, every_s: float, limit: int) -> Sequence[Launch]:
        """Ready launches that no process has asked for in the last `every_s`, the longest unseen first."""

    async def holders(self, quota: Quota, *, every_s: float, but: Collection[str], limit: int) -> Sequence[Launch]:
        """Ready launches that count for a quota, but for those of some ids, and that nobody has asked for lately.

        The longest unseen first; they are taken as asked for from now on.
        """

    async def remove_old(self, *, older_than_s: float, limit: int) -> int:
        """Remove launches that were accepted so long ago, have ended and left nothing at the Hub; their number."""

    async def remove_unasked(self, *, older_than_s: float, limit: int) -> int:
        """Remove launches that ended so long ago and never asked anything of the Hub; their number.

        One that came with an Idempotency-Key stays for as long as the key is kept.
        """

    async def remove_excess(self, *, launching_in_s: float, bytes_most: int, limit: int) -> int:
        """Remove the oldest ended launches of a caller who has more of them than `bytes_most` in all; their number.

        Only callers are looked at who had a launch accepted in the last `launching_in_s`, and no API keys. Of IPv6 a
        /48 is one caller here.
        """
