"""Leases: which launches belong to this process, and the tasks that run them."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

from hublaunch.launch.course.admission import Admission
from hublaunch.launch.course.runner import Runner
from hublaunch.launch.errors import Displaced, LaunchError
from hublaunch.launch.log_context import current_attempt, working_on
from hublaunch.launch.model import Caller, Launch
from hublaunch.launch.news import News, WorkLeft
from hublaunch.launch.pace import Pace
from hublaunch.launch.ports import Held, LaunchLog, LeaseLost, Ownership

log = logging.getLogger(__name__)

ADOPT_MAX = 100
"""Launches adopted in one transaction, so that no other write waits long."""
_RENEWALS_PER_LEASE = 3
_STORE_TIMEOUT_S = 5.0
"""The shortest timeout of a round of renewing and adopting, however short the lease, and the timeout of releasing the
lease."""


class LeaseClock:
    """How long this process may act for its launches, by its own clock.

    A process that was frozen resumes with the next action, even if its lease has run out meanwhile. So it asks this
    clock before each change at the Hub. The database would answer too late.
    """

    def __init__(self, lease_s: float, *, now: Callable[[], float] = time.monotonic) -> None:
        """`now` returns seconds of a clock that never goes back."""
        self.lease_s = lease_s
        self.now = now
        self._until = 0.0

    def renewed(self, asked_at: float) -> None:
        """Note that the lease was renewed by a request made at `asked_at`, by this clock."""
        self._until = asked_at + self.lease_s

    @property
    def has_run_out(self) -> bool:
        return self.now() > self._until

    def check(self) -> None:
        """Raise LeaseLost if the lease has run out."""
        if self.has_run_out:
            raise LeaseLost("this process has not renewed its lease in time")


@dataclass(eq=False)
class _Run:
    """The task of one launch."""

    launch: Launch
    cancel_requested: bool
    task: asyncio.Task[None] = field(init=False)

    def cancel(self) -> None:
        """Interrupt the task, which then carries out the cancellation. Only the first call has an effect."""
        if not self.cancel_requested:
            self.cancel_requested = True
            self.task.cancel()


class Leases:
    """Runs this process's launches, one task each, while it holds the lease.

    These are the launches accepted here, and those adopted because no living process has them. Use it as a context
    manager, and have `run` running within it. Leaving it ends every task without writing anything about the launches or
    stopping anything at the Hub. The lease is given up, and the next process continues. A process that dies keeps its
    launches for one lease time; on SQLite, where a file lock shows that it is dead, until the next process starts.
    """

    def __init__(
        self,
        *,
        ownership: Ownership,
        launch_log: LaunchLog,
        runner: Runner,
        admission: Admission,
        clock: LeaseClock,
        pace: Pace = Pace(),
    ) -> None:
        self._ownership = ownership
        self._log = launch_log
        self._runner = runner
        self._admission = admission
        self._clock = clock
        self._retry_s = pace.retry_launch_s
        self._runs: dict[str, _Run] = {}
        self._left_alone_until: dict[str, float] = {}
        self._work = asyncio.Event()
        self._stopping = False

    async def __aenter__(self) -> Self:
        await self._renew()
        await self._adopt()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._stopping = True
        await self._drop(list(self._runs.values()))
        try:
            async with asyncio.timeout(_STORE_TIMEOUT_S):
                await self._ownership.release()
        except Exception:
            log.exception("Could not give up the lease. Other processes adopt the launches when it expires")

    def begin(self, launch: Launch) -> None:
        """Run a launch that was just accepted."""
        self._begin(launch, self._runner.run)

    async def cancel(self, launch_id: str, *, by: Caller | None = None) -> None:
        """Have a launch cancelled by its owner, or by this process if it has none. Raises LaunchNotFound."""
        await self._ownership.request_cancel(launch_id, by=by)
        if run := self._runs.get(launch_id):
            run.cancel()
        self.wake()  # in case the run was about to end

    def wake(self) -> None:
        """Check immediately whether there is anything to do."""
        self._work.set()

    def on_news(self, news: News) -> None:
        """Receive the store's news: other processes leave launches to adopt or to cancel."""
        if isinstance(news, WorkLeft):
            self.wake()

    # --- the lease ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Renew the lease before it runs out, and keep a task for each launch of this process, until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._clock.lease_s / _RENEWALS_PER_LEASE):
                    await self._work.wait()
            self._work.clear()
            try:
                async with asyncio.timeout(max(self._clock.lease_s, _STORE_TIMEOUT_S)):
                    await self._carry_on(await self._renew())
                    await self._adopt()
            except Exception:
                log.exception("This process could not renew its lease")
            if self._clock.has_run_out:
                await self._drop(list(self._runs.values()))

    async def _renew(self) -> Sequence[Held]:
        """Renew the lease. Lost launches are dropped before this process may change the Hub again."""
        asked_at = self._clock.now()
        held = await self._ownership.renew()
        await self._drop_lost({one.launch_id: one.fence for one in held})
        self._clock.renewed(asked_at)
        return held

    async def _drop_lost(self, held: Mapping[str, int]) -> None:
        """Drop the tasks of lost launches, all at once, because the lease is not renewed until this returns."""
        runs = [run for run in self._runs.values() if held.get(run.launch.id) != run.launch.fence]
        launches = await asyncio.gather(*(self._log.get(run.launch.id) for run in runs))
        lost = []
        for run, current in zip(runs, launches, strict=True):
            if current is None or current.fence != run.launch.fence:
                lost.append(run)
            elif current.is_displaced:  # by the process that accepted the other launch
                self._admission.end_displaced(current.id)
        for run in lost:
            with working_on(run.launch.attempt):
                log.warning("launch %s is dropped: another process has adopted it", run.launch.id)
        await self._drop(lost)
        await asyncio.gather(*(self._clean_up_again(run.launch.id) for run in lost))

    async def _carry_on(self, held: Sequence[Held]) -> None:
        """Have a task for each launch of this process, and tell it of its admission or cancellation."""
        self._admission.resume(one.admitted for one in held if one.admitted is not None)
        for one in held:
            if run := self._runs.get(one.launch_id):
                if one.cancel_requested:
                    run.cancel()
            elif self._is_left_alone(one.launch_id):
                continue
            elif (launch := await self._log.get(one.launch_id)) and launch.fence == one.fence:
                self._begin(launch, self._runner.resume)

    async def _adopt(self) -> None:
        while True:
            launches = await self._ownership.adopt(limit=ADOPT_MAX)
            for launch in launches:
                with working_on(launch.attempt):
                    log.info("launch %s is adopted", launch.id)
                self._begin(launch, self._runner.resume)
            if len(launches) < ADOPT_MAX:
                return

    # --- tasks --------------------------------------------------------------------------------------------------------

    def _begin(self, launch: Launch, work: Callable[[Launch], Awaitable[None]]) -> None:
        if launch.id in self._runs or self._stopping:
            return
        run = _Run(launch, cancel_requested=launch.cancel_requested_at is not None)
        run.task = asyncio.create_task(self._finish(run, work), name=f"launch {launch.id}")
        self._runs[launch.id] = run
        run.task.add_done_callback(lambda _: self._runs.pop(launch.id))

    async def _finish(self, run: _Run, work: Callable[[Launch], Awaitable[None]]) -> None:
        """Run a launch, carry out its cancellation if that is requested, and log every error."""
        current_attempt.set(run.launch.attempt)
        try:
            await self._cancellable(run, work)
        except LeaseLost as lost:
            log.warning("launch %s is dropped: %s", run.launch.id, lost)
            await self._clean_up_again(run.launch.id)
        except Displaced:
            log.info("launch %s made room for a launch of another caller", run.launch.id)
        except LaunchError as error:
            log.warning("launch %s cannot be cleaned up yet. This process will try again: %s", run.launch.id, error)
            self._leave_alone(run.launch.id)
        except Exception:
            log.exception("launch %s was interrupted; it continues in %d seconds", run.launch.id, self._retry_s)
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
            await self._runner.cancel(run.launch)

    async def _clean_up_again(self, launch_id: str) -> None:
        """Have the next owner of a lost launch clean up what this process may have created since."""
        try:
            await self._ownership.clean_up_again(launch_id)
        except Exception:
            log.exception("launch %s may have left something at the Hub", launch_id)
        self.wake()

    async def _drop(self, runs: Sequence[_Run]) -> None:
        for run in runs:
            run.cancel_requested = False
            run.task.cancel()
        await asyncio.gather(*(run.task for run in runs), return_exceptions=True)
