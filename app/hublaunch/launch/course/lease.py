"""Which launches are this process's: each has a task here, for as long as the process keeps its lease."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

from hublaunch.launch.course.admission import Admission
from hublaunch.launch.course.course import Course
from hublaunch.launch.errors import Displaced, LaunchError
from hublaunch.launch.log_context import about, attempt_at_hand
from hublaunch.launch.model import Caller, Launch
from hublaunch.launch.pace import Pace
from hublaunch.launch.ports import Held, LaunchStore, LeaseLost

log = logging.getLogger(__name__)

ADOPT_MAX = 100
"""Launches taken over in one transaction, so that no other write waits long behind it."""
_RENEWALS_A_LEASE = 3
_ROUND_MIN_S = 5.0
"""What a round of renewing and taking over may take at least, however short the lease is."""
_RELEASE_S = 5.0


class LeaseClock:
    """How long this process may act for its launches, by its own clock.

    A process that was frozen does on waking what it was about to do. So it asks here before each change at the Hub,
    and finds that its time is over; the database would tell it too late.
    """

    def __init__(self, lease_s: float, *, now: Callable[[], float] = time.monotonic) -> None:
        """`now`: the time in seconds, by a clock that only ever goes forward."""
        self._lease_s = lease_s
        self._now = now
        self._until = 0.0

    def now(self) -> float:
        """Return the time of this clock."""
        return self._now()

    def renewed(self, asked_at: float) -> None:
        """The lease was renewed by a request that was made at that time of this clock."""
        self._until = asked_at + self._lease_s

    @property
    def has_run_out(self) -> bool:
        return self._now() > self._until

    def check(self) -> None:
        """LeaseLost once the lease has run out."""
        if self.has_run_out:
            raise LeaseLost("this process was not heard of for as long as its lease")


@dataclass(eq=False)
class _Run:
    """The task of one launch."""

    launch: Launch
    cancel_requested: bool
    task: asyncio.Task[None] = field(init=False)

    def cancel(self) -> None:
        """Let the task break off what it does and carry out the cancellation; once, however often that is asked."""
        if not self.cancel_requested:
            self.cancel_requested = True
            self.task.cancel()


class Leases:
    """Brings launches to their ends, those accepted here and those that no living process has.

    Use it as a context manager, and have `run` go on within it. Leaving it ends every task, writes nothing of the
    launches and stops nothing at the Hub: the lease is given up, and the next process goes on with them. A process that
    dies keeps its launches for one lease time (`lease_s`); on SQLite, where its file shows that it is dead, until the
    next one starts.
    """

    def __init__(
        self,
        *,
        store: LaunchStore,
        course: Course,
        admission: Admission,
        lease_s: float,
        clock: LeaseClock,
        pace: Pace = Pace(),
    ) -> None:
        self._store = store
        self._course = course
        self._admission = admission
        self._lease_s = lease_s
        self._clock = clock
        self._retry_s = pace.retry_launch_s
        self._runs: dict[str, _Run] = {}
        self._left_alone_until: dict[str, float] = {}
        self._work = asyncio.Event()
        self._stopping = False
        store.on_work(self.wake)

    async def __aenter__(self) -> Self:
        await self._renew()
        await self._adopt()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._stopping = True
        await self._drop(list(self._runs.values()))
        try:
            async with asyncio.timeout(_RELEASE_S):
                await self._store.release()
        except Exception:
            log.exception("The lease could not be given up; others take the launches over when it has run out")

    def begin(self, launch: Launch) -> None:
        """Run a launch that was just accepted."""
        self._begin(launch, self._course.run)

    async def cancel(self, launch_id: str, *, by: Caller | None = None) -> None:
        """Have a launch cancelled by whoever has it, or by this process if nobody does; LaunchNotFound."""
        await self._store.request_cancel(launch_id, by=by)
        if run := self._runs.get(launch_id):
            run.cancel()
        self.wake()  # also for a run that was just about to end

    def wake(self) -> None:
        """Look at once whether there is anything to do."""
        self._work.set()

    # --- the lease ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Renew the lease before it runs out, and carry on with the launches of this process, until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._lease_s / _RENEWALS_A_LEASE):
                    await self._work.wait()
            self._work.clear()
            try:
                async with asyncio.timeout(max(self._lease_s, _ROUND_MIN_S)):
                    await self._carry_on(await self._renew())
                    await self._adopt()
            except Exception:
                log.exception("This process could not renew its lease")
            if self._clock.has_run_out:
                await self._drop(list(self._runs.values()))

    async def _renew(self) -> Sequence[Held]:
        """Renew the lease. What was lost meanwhile is dropped before this process may change the Hub again."""
        asked_at = self._clock.now()
        held = await self._store.hold()
        await self._drop_lost({one.launch_id: one.fence for one in held})
        self._clock.renewed(asked_at)
        return held

    async def _drop_lost(self, held: Mapping[str, int]) -> None:
        """All at once: until this is over the lease is not renewed."""
        runs = [run for run in self._runs.values() if held.get(run.launch.id) != run.launch.fence]
        launches = await asyncio.gather(*(self._store.get(run.launch.id) for run in runs))
        lost = []
        for run, current in zip(runs, launches, strict=True):
            if current is None or current.fence != run.launch.fence:
                lost.append(run)
            elif current.is_displaced:  # by another process, which accepted the launch that took its place
                self._admission.tell_displaced(current.id)
        for run in lost:
            with about(run.launch.attempt):
                log.warning("launch %s is dropped: another process has taken it over", run.launch.id)
        await self._drop(lost)
        await asyncio.gather(*(self._lost(run.launch.id) for run in lost))

    async def _carry_on(self, holds: Sequence[Held]) -> None:
        """Have a task for each launch that this process has, which knows when it is admitted and when to cancel."""
        self._admission.tell(held.admitted for held in holds if held.admitted is not None)
        for held in holds:
            if run := self._runs.get(held.launch_id):
                if held.cancel_requested:
                    run.cancel()
            elif self._is_left_alone(held.launch_id):
                continue
            elif (launch := await self._store.get(held.launch_id)) and launch.fence == held.fence:
                self._begin(launch, self._course.take_over)

    async def _adopt(self) -> None:
        while True:
            launches = await self._store.adopt(limit=ADOPT_MAX)
            for launch in launches:
                with about(launch.attempt):
                    log.info("launch %s is to be brought to its end here", launch.id)
                self._begin(launch, self._course.take_over)
            if len(launches) < ADOPT_MAX:
                return

    # --- tasks --------------------------------------------------------------------------------------------------------

    def _begin(self, launch: Launch, work: Callable[[Launch], Awaitable[None]]) -> None:
        if launch.id in self._runs or self._stopping:
            return
        run = _Run(launch, cancel_requested=launch.cancel_requested_at is not None)
        run.task = asyncio.create_task(self._bring_to_end(run, work), name=f"launch {launch.id}")
        self._runs[launch.id] = run
        run.task.add_done_callback(lambda _: self._runs.pop(launch.id))

    async def _bring_to_end(self, run: _Run, work: Callable[[Launch], Awaitable[None]]) -> None:
        """Nothing that goes wrong is lost, and a requested cancellation is carried out."""
        attempt_at_hand.set(run.launch.attempt)
        try:
            await self._cancellable(run, work)
        except LeaseLost as lost:
            log.warning("launch %s is dropped: %s", run.launch.id, lost)
            await self._lost(run.launch.id)
        except Displaced:
            log.info("launch %s made room for a launch of another caller", run.launch.id)
        except LaunchError as error:
            log.warning("launch %s cannot be cleaned up yet, which is tried again: %s", run.launch.id, error)
            self._leave_alone(run.launch.id)
        except Exception:
            log.exception("launch %s broke off; it is taken up again in %d seconds", run.launch.id, self._retry_s)
            self._leave_alone(run.launch.id)

    def _leave_alone(self, launch_id: str) -> None:
        now = asyncio.get_running_loop().time()
        self._left_alone_until = {known: at for known, at in self._left_alone_until.items() if at > now}
        self._left_alone_until[launch_id] = now + self._retry_s

    def _is_left_alone(self, launch_id: str) -> bool:
        return self._left_alone_until.get(launch_id, 0) > asyncio.get_running_loop().time()

    async def _cancellable(self, run: _Run, work: Callable[[Launch], Awaitable[None]]) -> None:
        try:
            await work(run.launch)
        except asyncio.CancelledError:
            if self._stopping or not run.cancel_requested:
                raise
            run.task.uncancel()
        if run.cancel_requested:
            await self._course.cancel(run.launch)

    async def _lost(self, launch_id: str) -> None:
        """Another process has the launch, or may. What was done here meanwhile is for it to clean up."""
        try:
            await self._store.doubt(launch_id)
        except Exception:
            log.exception("launch %s may have left something at the Hub", launch_id)
        self.wake()

    async def _drop(self, runs: Sequence[_Run]) -> None:
        for run in runs:
            run.cancel_requested = False
            run.task.cancel()
        await asyncio.gather(*(run.task for run in runs), return_exceptions=True)
