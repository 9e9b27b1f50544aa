"""Admission: how many launches may be at the Hub at once, and who is next."""

import asyncio
import logging
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from hublaunch.launch.errors import Displaced, ImageFailing, LaunchError, QueueTimedOut
from hublaunch.launch.model import Event, Launch
from hublaunch.launch.pace import Pace
from hublaunch.launch.ports import Admitted, LaunchStore, LetThrough
from hublaunch.launch.rules.guard import Failing, Guard, GuardState, known_as
from hublaunch.launch.rules.queue_order import Weight

log = logging.getLogger(__name__)

_LATELY_S = 300.0
_BASIS_MIN = 3
"""Admissions lately, below which nothing honest can be said of the time that a place in the queue takes."""

_HELD_BACK = "servers have failed to start lately, so new images are let through only a few at a time"
_HELD_ALL_BACK = "too many servers have failed to start, so none is started until the operator has looked at it"
_PROVEN_ONLY = (
    "After one more failed spawn JupyterHub may exit: only images that were ready in the last hour are launched, one "
    "at a time, until one is ready again. `hublaunch guard` tells more."
)
_PAUSED = (
    "As many spawns have failed in a row as JupyterHub stands: nothing is launched until it is restarted or you run "
    "`hublaunch guard clear`. c.Spawner.consecutive_failure_limit = 0 at the Hub ends the danger."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Position:
    """Where a launch stands in the queue."""

    position: int
    """From 1, which is next; 0 is told once of a launch that was in the queue and has been admitted."""
    queue_size: int
    """How many were in the queue at the last look."""
    eta_s: int | None
    """Seconds until its admission at the pace of the last minutes; None where there is no pace to go by."""
    eta_basis: str | None
    """How that was worked out, or why it cannot be."""


class Watchers(Protocol):
    """Those who follow launches by this process, whichever process has the launches."""

    @property
    def see_a_queue(self) -> bool:
        """Whether any of them follows a launch that waits."""
        ...

    def tell_positions(self, positions: Mapping[str, Position]) -> None:
        """Called with the place of every launch in the queue, at most once a second and only while somebody sees it."""
        ...


@dataclass(eq=False, slots=True)
class _Wait:
    """A launch that waits here; `before`: when it was last admitted, of which late news may still come."""

    told: asyncio.Future[Admitted | LaunchError]
    before: datetime | None


class Admission:
    """Lets launches of all processes through to the Hub, in the order of the queue, `most` at a time."""

    def __init__(
        self,
        *,
        store: LaunchStore,
        most: int,
        weight: Weight,
        guard: Guard,
        watchers: Watchers,
        pace: Pace = Pace(),
    ) -> None:
        self._store = store
        self._most = most
        self._weight = weight
        self._guard = guard
        self._guard_state: GuardState = "off" if guard.mode == "off" else "open"
        self._watchers = watchers
        self._every_s = pace.admission_s
        self._waiting: dict[str, _Wait] = {}
        self._failing: asyncio.Future[Mapping[str, Failing]] | None = None
        self._changed = asyncio.Event()
        store.subscribe(self._heard)

    @contextmanager
    def expecting(self, launch_id: str, *, before: datetime | None = None) -> Generator[None]:
        """Around what puts a launch in the queue: it may be admitted before its task has begun to wait.

        `before`: when it was last admitted. Who looked at the records before it was put back may tell of that after.
        """
        self._expect(launch_id, before=before)
        try:
            yield
        except BaseException:
            self.forget(launch_id)
            raise

    def _expect(self, launch_id: str, *, before: datetime | None) -> _Wait:
        self._waiting[launch_id] = wait = _Wait(asyncio.get_running_loop().create_future(), before)
        return wait

    def forget(self, launch_id: str) -> None:
        """The launch that was expected does not come."""
        self._waiting.pop(launch_id, None)

    async def wait(self, launch: Launch) -> Launch:
        """Return the launch once it is admitted, with its deadline.

        QueueTimedOut when it has waited too long, ImageFailing when its image is not launched for now, Displaced when
        it has made room for another, which is stored by then. A cancelled call leaves it in the queue.
        """
        waiting = self._waiting.get(launch.id) or self._expect(launch.id, before=None)
        self.wake()
        try:
            async with asyncio.timeout((launch.deadline_at - datetime.now(UTC)).total_seconds()):
                told = await waiting.told
        except TimeoutError:
            raise QueueTimedOut from None
        finally:
            self.forget(launch.id)
        if isinstance(told, LaunchError):
            raise told
        return replace(launch, admitted_at=told.admitted_at, deadline_at=told.deadline_at)

    def tell(self, admitted: Iterable[Admitted]) -> None:
        """Let those go on that wait here."""
        for one in admitted:
            self._tell(one.launch_id, one)

    def tell_displaced(self, launch_id: str) -> None:
        """Let a launch end that waits here and has made room for another."""
        self._tell(launch_id, Displaced())

    def _tell(self, launch_id: str, what: Admitted | LaunchError) -> None:
        waiting = self._waiting.get(launch_id)
        if waiting is None or waiting.told.done():
            return
        if isinstance(what, LaunchError) or what.admitted_at != waiting.before:
            waiting.told.set_result(what)

    async def check_image(self, image: str) -> None:
        """ImageFailing if the image is not launched for now. Those who ask at once share one look, and its error."""
        if self._failing is None or self._failing.done():
            self._failing = asyncio.ensure_future(self._store.failing(guard=self._guard))
        if failing := (await asyncio.shield(self._failing)).get(known_as(image)):
            raise ImageFailing(failing.cause, failing.until)

    def wake(self) -> None:
        """Look at once whether there is room."""
        self._changed.set()

    async def run(self) -> None:
        """Go on until cancelled."""
        loop = asyncio.get_running_loop()
        told_at = loop.time()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every_s):
                    await self._changed.wait()
            if not (self._changed.is_set() or self._waiting or self._watchers.see_a_queue):
                continue
            self._changed.clear()
            through = await self._let_through()
            if loop.time() - told_at >= self._every_s and self._watchers.see_a_queue:
                told_at = loop.time()
                await self._look_at_the_queue(_held_back(through))

    async def _let_through(self) -> LetThrough:
        through = await self._store.admit(most=self._most, weight=self._weight, guard=self._guard)
        self.tell(through.admitted)
        for launch_id, failing in through.refused.items():
            self._tell(launch_id, ImageFailing(failing.cause, failing.until))
        if through.guard != self._guard_state:
            self._guard_state = through.guard
            self._tell_operator(through.guard)
        return through

    def _tell_operator(self, state: GuardState) -> None:
        if state in ("proven_only", "paused"):
            log.error(_PAUSED if state == "paused" else _PROVEN_ONLY)
        else:
            log.info("The Hub guard lets new images through")

    async def _look_at_the_queue(self, held_back: str | None) -> None:
        queue = await self._store.queue(weight=self._weight, lately_s=_LATELY_S)
        pace_s = _LATELY_S / queue.admitted_lately if queue.admitted_lately >= _BASIS_MIN else None
        basis = None
        if held_back is not None:
            pace_s, basis = None, held_back
        elif pace_s is not None:
            basis = f"{queue.admitted_lately} launches were admitted in the last {_LATELY_S / 60:.0f} minutes"
        self._watchers.tell_positions(
            {
                launch_id: Position(
                    position=position,
                    queue_size=len(queue.launch_ids),
                    eta_s=None if pace_s is None else round(position * pace_s),
                    eta_basis=basis,
                )
                for position, launch_id in enumerate(queue.launch_ids, start=1)
            }
        )

    def _heard(self, event: Event) -> None:
        """A launch that ends makes room for another."""
        if event.is_displacement:
            self.tell_displaced(event.launch_id)
        if event.phase.ends_stream:
            self.wake()


def _held_back(through: LetThrough) -> str | None:
    """Why those that wait do so though there is room at the Hub; None where that is not so."""
    if not through.holds_back:
        return None
    return _HELD_ALL_BACK if through.guard == "paused" else _HELD_BACK
