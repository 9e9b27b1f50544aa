"""Leases: which launches belong to this process, and the tasks that run them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from typing import Self, TypeVar

from hublaunch.launch.caller import Caller
from hublaunch.launch.course.admission import Admission
from hublaunch.launch.course.launch_run import LaunchRun
from hublaunch.launch.course.lease_clock import LeaseClock
from hublaunch.launch.course.runner import Runner
from hublaunch.launch.errors import Displaced, LaunchError
from hublaunch.launch.log_context import current_attempt, working_on
from hublaunch.launch.model import Launch
from hublaunch.launch.news import News, SessionEnded, WorkLeft
from hublaunch.launch.pace import Pace
from hublaunch.launch.ports import Held, LaunchLog, LeaseLost, Ownership

log = logging.getLogger(__name__)

T = TypeVar("T")

ADOPT_MAX = 100
"""Launches adopted in one transaction, so that no other write waits long."""
READ_MAX = 100
"""Launches read with one statement, so that the first of a thousand continue before the last are read."""
_RENEWALS_PER_LEASE = 3
_STORE_TIMEOUT_S = 5.0
"""The shortest timeout for renewing the lease and for a round of adoption, however short the lease is. Also the timeout
for releasing it."""


class Leases:
    """Runs this process's launches, one task each, while it holds the lease.

    These are the launches accepted here, and those adopted because no living process has them. Use it as a context
    manager, and have `run` running within it. Leaving it drops every launch, without writing anything about it or
    stopping anything at the Hub, and waits for the tasks for `Pace.drop_s` at most. The lease is given up, and the next
    process continues. A process that dies keeps its launches for one lease time; on SQLite, where a file lock shows
    that it is dead, until the next process starts.
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
        self._pace = pace
        self._round_s = max(clock.lease_s, _STORE_TIMEOUT_S)
        self._runs: dict[str, LaunchRun] = {}
        self._left_alone_until: dict[str, float] = {}
        self._held: Sequence[Held] = ()
        """The launches of this process at the last heartbeat."""
        self._has_renewed = asyncio.Event()
        self._work = asyncio.Event()
        self._stopping = False

    async def __aenter__(self) -> Self:
        await self._renew()
        await self._adopt()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._stopping = True
        self._drop_all()
        if self._runs:
            await asyncio.wait([run.task for run in self._runs.values()], timeout=self._pace.drop_s)
        self._insist(after_s=0)
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
        """Receive the store's news: there are launches to adopt or to cancel."""
        if isinstance(news, WorkLeft | SessionEnded):
            self.wake()

    # --- the lease ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Renew the lease before it runs out, and keep a task for each launch of this process, until cancelled.

        These are two loops, so that no work for launches delays the heartbeat.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_lease())
            group.create_task(self._keep_tasks())

    async def _keep_lease(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._clock.lease_s / _RENEWALS_PER_LEASE):
                    await self._work.wait()
            self._work.clear()
            try:
                async with asyncio.timeout(self._round_s):
                    self._held = await self._renew()
                self._has_renewed.set()
            except Exception:
                log.exception("This process could not renew its lease")
            if self._clock.has_run_out:
                self._drop_all()
            self._insist(after_s=self._pace.drop_s)

    async def _keep_tasks(self) -> None:
        while True:
            await self._has_renewed.wait()
            self._has_renewed.clear()
            try:
                async with asyncio.timeout(self._round_s):
                    await self._carry_on(self._held)
                    await self._adopt()
            except Exception:
                log.exception("Some launches could not be continued. This process tries again at its next heartbeat")

    async def _renew(self) -> Sequence[Held]:
        """Renew the lease. Lost launches are dropped before this process may change the Hub again."""
        asked_at = self._clock.now()
        held = await self._ownership.renew()
        await self._drop_lost(held)
        self._clock.renewed(asked_at)
        return held

    async def _drop_lost(self, held: Sequence[Held]) -> None:
        """Drop the launches that another process has adopted, without waiting for their tasks."""
        fences = {one.launch_id: one.fence for one in held}
        for batch in _batches([run for run in self._runs.values() if fences.get(run.launch.id) != run.launch.fence]):
            launches = await self._log.get_many([run.launch.id for run in batch])
            for run in batch:
                current = launches.get(run.launch.id)
                if current is None or current.fence != run.launch.fence:
                    self._drop_one_lost(run)
                elif current.is_displaced:  # by the process that accepted the other launch
                    self._admission.end_displaced(current.id)

    def _drop_one_lost(self, run: LaunchRun) -> None:
        if not run.is_lost:
            run.is_lost = True
            with working_on(run.launch.attempt):
                log.warning("launch %s is dropped: another process has adopted it", run.launch.id)
        run.drop()

    async def _carry_on(self, held: Sequence[Held]) -> None:
        """Have a task for each launch of this process, and tell it of its admission or cancellation."""
        self._admission.resume(one.admitted for one in held if one.admitted is not None)
        without_task = []
        for one in held:
            if run := self._runs.get(one.launch_id):
                if one.cancel_requested:
                    run.cancel()
            elif not self._is_left_alone(one.launch_id):
                without_task.append(one)
        for batch in _batches(without_task):
            lapses = self._clock.lapses
            launches = await self._log.get_many([one.launch_id for one in batch])
            current = [launches.get(one.launch_id) for one in batch]
            own = [launch for launch, one in zip(current, batch, strict=True) if launch and launch.fence == one.fence]
            self._resume(own, lapses)

    async def _adopt(self) -> None:
        while True:
            lapses = self._clock.lapses
            launches = await self._ownership.adopt(limit=ADOPT_MAX)
            for launch in launches:
                with working_on(launch.attempt):
                    log.info("launch %s is adopted", launch.id)
            self._resume(launches, lapses)
            if len(launches) < ADOPT_MAX:
                return

    def _resume(self, launches: Sequence[Launch], lapses: int) -> None:
        """Resume launches that this process owned when its lease had run out `lapses` times.

        If the lease has run out since, other processes may own them. The next heartbeat finds out which are left.
        """
        if self._clock.lapses == lapses and not self._clock.has_run_out:
            for launch in launches:
                self._begin(launch, self._runner.resume)

    # --- tasks --------------------------------------------------------------------------------------------------------

    def _begin(self, launch: Launch, work: Callable[[Launch], Awaitable[None]]) -> None:
        if launch.id in self._runs or self._stopping:
            return
        run = LaunchRun(launch, cancel_requested=launch.cancel_requested_at is not None)
        run.task = asyncio.create_task(self._finish(run, work), name=f"launch {launch.id}")
        self._runs[launch.id] = run
        run.task.add_done_callback(lambda _: self._forget(run))

    def _forget(self, run: LaunchRun) -> None:
        del self._runs[run.launch.id]
        self._admission.forget(run.launch.id)  # expected when it was stored, but it may have ended before it waited
        if run.is_dropped:
            self.wake()  # the launch may be this process's again

    async def _finish(self, run: LaunchRun, work: Callable[[Launch], Awaitable[None]]) -> None:
        """Run a launch, carry out its cancellation if that is requested, and log every error."""
        run.enter()
        current_attempt.set(run.launch.attempt)
        try:
            await self._cancellable(run, work)
        except asyncio.CancelledError:
            if run.is_lost:
                await self._clean_up_again(run.launch.id)
            raise
        except LeaseLost as lost:
            log.warning("launch %s is dropped: %s", run.launch.id, lost)
            await self._clean_up_again(run.launch.id)
        except Displaced:
            log.info("launch %s made room for a launch of another caller", run.launch.id)
        except LaunchError as error:
            log.warning("launch %s cannot be cleaned up yet. This process will try again: %s", run.launch.id, error)
            self._leave_alone(run.launch.id)
        except Exception:
            log.exception(
                "launch %s was interrupted; it continues in %d seconds", run.launch.id, self._pace.retry_launch_s
            )
            self._leave_alone(run.launch.id)

    def _leave_alone(self, launch_id: str) -> None:
        now = asyncio.get_running_loop().time()
        self._left_alone_until = {known: at for known, at in self._left_alone_until.items() if at > now}
        self._left_alone_until[launch_id] = now + self._pace.retry_launch_s

    def _is_left_alone(self, launch_id: str) -> bool:
        return self._left_alone_until.get(launch_id, 0) > asyncio.get_running_loop().time()

    async def _cancellable(self, run: LaunchRun, work: Callable[[Launch], Awaitable[None]]) -> None:
        try:
            await work(run.launch)
        except asyncio.CancelledError:
            if not run.cancel_requested:
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

    def _drop_all(self) -> None:
        for run in self._runs.values():
            run.drop()

    def _insist(self, *, after_s: float) -> None:
        for run in self._runs.values():
            run.insist(after_s=after_s)


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for first in range(0, len(items), READ_MAX):
        yield items[first : first + READ_MAX]
