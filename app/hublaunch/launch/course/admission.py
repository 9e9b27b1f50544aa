"""Admission: how many launches may be at the Hub at once, and which is next."""

import asyncio
import logging
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from hublaunch.launch.errors import Displaced, ImageFailing, LaunchError, QueueTimedOut
from hublaunch.launch.model import Event, Launch, Step
from hublaunch.launch.news import News
from hublaunch.launch.pace import Pace
from hublaunch.launch.ports import AdmissionRound, Admitted, LaunchQueue
from hublaunch.launch.rules.guard import Failing, Guard, GuardState, known_as
from hublaunch.launch.rules.queue_order import Weight

log = logging.getLogger(__name__)

_RECENT_S = 300.0
_RECENT_MIN = 3
"""The fewest admissions in that time from which a waiting time can be estimated."""

_HELD_BACK = "servers have failed to start recently, so new images are admitted only a few at a time"
_DRAINING = "the operator has paused launches"
_ALL_HELD_BACK = "too many servers have failed to start, so no launch is admitted until the operator has checked"
_PROVEN_ONLY = (
    "One more failed spawn would pause all launches. Only proven images (ready within the last hour) are launched, "
    "one at a time, until one is ready again. Run `hublaunch guard` for more."
)
_PAUSED = (
    "As many spawns have failed in a row as JupyterHub tolerates. Nothing is launched until JupyterHub restarts or you "
    "run `hublaunch guard clear`. c.Spawner.consecutive_failure_limit = 0 at the Hub removes the danger."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Position:
    """The position of a launch in the queue."""

    position: int
    """1 is the next launch. 0 comes once, when a launch that was in the queue has been admitted."""
    queue_size: int
    """Launches in the queue at the last check."""
    eta_s: int | None
    """Seconds until its admission at the pace of the last minutes; None if there is no pace to go by."""
    eta_basis: str | None
    """How `eta_s` was estimated, or why it could not be."""


class QueueFollowers(Protocol):
    """The followers of queued launches in this process, whichever process owns the launches."""

    @property
    def any_in_queue(self) -> bool:
        """Whether anybody follows a launch in the queue."""
        ...

    def publish_positions(self, positions: Mapping[str, Position]) -> None:
        """Receive the position of every launch in the queue, at most once a second, and only while `any_in_queue`."""
        ...


@dataclass(eq=False, slots=True)
class _Wait:
    """A launch whose task waits here for its admission."""

    result: asyncio.Future[Admitted | LaunchError]
    before: datetime | None
    """When it was last admitted. News of that admission may still arrive, and says nothing about the next one."""


class Admission:
    """Admits the launches of all processes to the Hub, at most `most` at once, in the order of the queue."""

    def __init__(
        self,
        *,
        queue: LaunchQueue,
        most: int,
        weight: Weight,
        guard: Guard,
        followers: QueueFollowers,
        pace: Pace = Pace(),
    ) -> None:
        self._queue = queue
        self._most = most
        self._weight = weight
        self._guard = guard
        self._guard_state: GuardState = "off" if guard.mode == "off" else "open"
        self._followers = followers
        self._every_s = pace.admission_s
        self._waiting: dict[str, _Wait] = {}
        self._failing: asyncio.Future[Mapping[str, Failing]] | None = None
        self._changed = asyncio.Event()

    @contextmanager
    def expecting(self, launch_id: str, *, before: datetime | None = None) -> Generator[None]:
        """Wrap the call that queues a launch, because the launch may be admitted before its task begins to wait.

        `before`: when it was last admitted, as news of that may arrive only after it is back in the queue.
        """
        self._expect(launch_id, before=before)
        try:
            yield
        except BaseException:
            self.forget(launch_id)
            raise

    async def requeue(
        self, launch: Launch, step: Step, *, time_left_s: float, waits_until: datetime, pause_s: float
    ) -> None:
        """Put the launch back into the queue, as `LaunchQueue.requeue` does. Then call `wait`."""
        with self.expecting(launch.id, before=launch.admitted_at):
            await self._queue.requeue(launch, step, time_left_s=time_left_s, waits_until=waits_until, pause_s=pause_s)

    def _expect(self, launch_id: str, *, before: datetime | None) -> _Wait:
        self._waiting[launch_id] = wait = _Wait(asyncio.get_running_loop().create_future(), before)
        return wait

    def forget(self, launch_id: str) -> None:
        """Stop expecting the admission of a launch."""
        self._waiting.pop(launch_id, None)

    async def wait(self, launch: Launch) -> Launch:
        """Return the launch with its deadline once it is admitted.

        Raises QueueTimedOut if it has waited too long, ImageFailing if its image is not launched for now, or Displaced
        if it has made room for another launch (the store has recorded that already). A cancelled call leaves the launch
        in the queue.
        """
        waiting = self._waiting.get(launch.id) or self._expect(launch.id, before=None)
        self.wake()
        try:
            async with asyncio.timeout((launch.deadline_at - datetime.now(UTC)).total_seconds()):
                result = await waiting.result
        except TimeoutError:
            raise QueueTimedOut from None
        finally:
            self.forget(launch.id)
        if isinstance(result, LaunchError):
            raise result
        return replace(launch, admitted_at=result.admitted_at, deadline_at=result.deadline_at)

    def resume(self, admitted: Iterable[Admitted]) -> None:
        """Resume the admitted launches whose tasks wait here."""
        for one in admitted:
            self._settle(one.launch_id, one)

    def end_displaced(self, launch_id: str) -> None:
        """End the wait of a launch that has made room for another."""
        self._settle(launch_id, Displaced())

    def _settle(self, launch_id: str, result: Admitted | LaunchError) -> None:
        waiting = self._waiting.get(launch_id)
        if waiting is None or waiting.result.done():
            return
        if isinstance(result, LaunchError) or result.admitted_at != waiting.before:
            waiting.result.set_result(result)

    async def check_image(self, image: str) -> None:
        """Raise ImageFailing if the image is not launched for now. Simultaneous calls share a query, and its error."""
        if self._failing is None or self._failing.done():
            self._failing = asyncio.ensure_future(self._queue.failing(guard=self._guard))
        if failing := (await asyncio.shield(self._failing)).get(known_as(image)):
            raise ImageFailing(failing.cause, failing.until)

    def wake(self) -> None:
        """Check immediately whether there is room at the Hub."""
        self._changed.set()

    async def run(self) -> None:
        """Admit launches and publish positions until cancelled."""
        loop = asyncio.get_running_loop()
        published_at = loop.time()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every_s):
                    await self._changed.wait()
            if not (self._changed.is_set() or self._waiting or self._followers.any_in_queue):
                continue
            self._changed.clear()
            outcome = await self._admit()
            if loop.time() - published_at >= self._every_s and self._followers.any_in_queue:
                published_at = loop.time()
                await self._publish_positions(_held_back(outcome))

    async def _admit(self) -> AdmissionRound:
        outcome = await self._queue.admit(most=self._most, weight=self._weight, guard=self._guard)
        self.resume(outcome.admitted)
        for launch_id, failing in outcome.refused.items():
            self._settle(launch_id, ImageFailing(failing.cause, failing.until))
        if outcome.guard != self._guard_state:
            self._guard_state = outcome.guard
            _log_guard(outcome.guard)
        return outcome

    async def _publish_positions(self, held_back: str | None) -> None:
        queue = await self._queue.positions(weight=self._weight, lately_s=_RECENT_S)
        pace_s = _RECENT_S / queue.admitted_lately if queue.admitted_lately >= _RECENT_MIN else None
        basis = None
        if held_back is not None:
            pace_s, basis = None, held_back
        elif pace_s is not None:
            basis = f"{queue.admitted_lately} launches were admitted in the last {_RECENT_S / 60:.0f} minutes"
        self._followers.publish_positions(
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

    def on_news(self, news: News) -> None:
        """Receive the store's news: a launch that ends makes room for another."""
        if not isinstance(news, Event):
            return
        if news.is_displacement:
            self.end_displaced(news.launch_id)
        if news.phase.ends_stream:
            self.wake()


def _log_guard(state: GuardState) -> None:
    if state in ("proven_only", "paused"):
        log.error(_PAUSED if state == "paused" else _PROVEN_ONLY)
    else:
        log.info("The Hub guard admits new images again")


def _held_back(outcome: AdmissionRound) -> str | None:
    """Return why launches wait although the Hub has room, or None if it has none."""
    if not outcome.holds_back:
        return None
    if outcome.is_draining:
        return _DRAINING
    return _ALL_HELD_BACK if outcome.guard == "paused" else _HELD_BACK
