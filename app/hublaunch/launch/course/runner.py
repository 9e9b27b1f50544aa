"""Running one launch to its end: attempt after attempt, from its acceptance or from where another process left it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from hublaunch.launch.acceptance.account import following_attempt
from hublaunch.launch.acceptance.preflight import Preflight
from hublaunch.launch.course import attempt as attempts
from hublaunch.launch.course.admission import Admission
from hublaunch.launch.course.attempt import Entry
from hublaunch.launch.course.cleanup import Traces, clean_up, matches_request
from hublaunch.launch.course.inspection import find_failure, find_server
from hublaunch.launch.course.requeue import Requeue, from_store
from hublaunch.launch.course.terms import Terms
from hublaunch.launch.errors import (
    InternalError,
    Interrupted,
    LaunchError,
    NotAdmitted,
    PreflightRefused,
    ServerExists,
    SpawnFailed,
    SpawnTimedOut,
)
from hublaunch.launch.log_context import current_attempt
from hublaunch.launch.model import Attempt, Launch, Status, Step
from hublaunch.launch.pace import Pace
from hublaunch.launch.ports import Hub, LaunchLog, LeaseLost, Pools, StoreFault, Upkeep
from hublaunch.launch.problem import Problem
from hublaunch.launch.rules.guard import abandoned_spawn, failed_spawn

log = logging.getLogger(__name__)

_CLAIMS_MAX = 3
"""The most warm servers that a launch tries before a server is started for it."""

_Try = Callable[[Launch, Traces], Awaitable[LaunchError | None]]
"""Makes one attempt, and notes in the traces everything that it creates. Returns None once the server is ready, else
the error."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Runner:
    """Runs launches to their ends. Every write carries the launch's fence, and LeaseLost ends the task.

    A cancelled call writes nothing more and stops nothing at the Hub: the next owner of the launch continues from
    there.
    """

    launch_log: LaunchLog
    upkeep: Upkeep
    pools: Pools
    hub: Hub
    admission: Admission
    terms: Terms
    preflight: Preflight | None = None
    pace: Pace = Pace()

    async def run(self, launch: Launch) -> None:
        """Wait for admission, then make attempts until one is ready or no other can help.

        A launch that has claimed a warm server enters that one instead, if it answers.
        """
        if launch.is_claim:
            await self._claims(launch, Traces(user=True, server=True))
        else:
            await self._attempts(launch, self._run, Traces())

    async def resume(self, launch: Launch) -> None:
        """Continue a launch that another process had: inspect the Hub, go on from there, and clean up due attempts."""
        if launch.cancel_requested_at is not None and (launch.is_in_progress or launch.status is Status.READY):
            await self.cancel(launch)
        elif launch.is_claim:
            await self._claims(launch, self._unknown(launch), least_s=self.pace.finish_s)
        elif launch.is_in_progress and not launch.has_asked_hub:
            await self.run(launch)  # no request reached the Hub, and the last owner can send none now
        elif launch.is_in_progress:
            await self._attempts(launch, self._resume, self._unknown(launch))
        for attempt in await self.upkeep.due(launch.id):
            await self._clean_up(launch, attempt, self._unknown(launch, attempt))

    async def cancel(self, launch: Launch) -> None:
        """Stop the spawn or the server, delete everything that the launch created, then store that it was cancelled."""
        launch = await self._current(launch)
        if not (launch.is_in_progress or launch.status is Status.READY):
            return
        if launch.cleaned_at is None:
            traces = self._unknown(launch) if launch.has_asked_hub else Traces()
            await self._clean_up(launch, launch.attempt, traces, may_be_on_its_way=launch.is_in_progress)
        launch = await self._current(launch)  # the interrupted attempt may still have stored a step
        if launch.is_in_progress:
            failed = abandoned_spawn(hub_version=self.terms.hub_version()) if launch.launching_at is not None else None
            step = Step(phase=Status.CANCELLED, progress=None, message="Cancelled", failed_spawn=failed)
            await self.launch_log.append(launch, step)
        elif launch.status is Status.READY:
            by = "pool" if launch.is_member else "session_end" if launch.has_outlived_session else "caller"
            stopped_by = launch.stopped_by or by
            await self.upkeep.mark_stopped(launch, stopped_by=stopped_by, clean_in_s=None)

    # --- a warm server ------------------------------------------------------------------------------------------------

    async def _claims(self, launch: Launch, traces: Traces, *, least_s: float = 0) -> None:
        """Enter the claimed server. If it does not answer, claim others, and finally start a server for the launch.

        The Hub counts none of this as a spawn, and the member whose server was given up deletes its user. If the
        Hub does not answer in the launch's time, the launch fails, and costs no other member.
        """
        while launch.is_claim:
            error = await self._claim(launch, traces, least_s=least_s)
            if error is None:
                log.info("launch %s is ready, with a warm server", launch.id)
                return
            reason = f"{error} {error.operator_advice}".rstrip()
            log.warning("launch %s cannot use its warm server: %s", launch.id, reason)
            launch = await self._current(launch)
            if not launch.is_claim:
                return  # it timed out while `ready` was being stored
            if isinstance(error, SpawnTimedOut):
                await self._may_go_on(launch, error, traces, may_retry=False)
                return
            cold = following_attempt(launch.attempt, launch.request)
            may_claim = launch.attempt.number < _CLAIMS_MAX
            with self.admission.expecting(launch.id):
                await self.pools.claim_next(launch, may_claim=may_claim, cold=cold)
            launch, traces = await self._current(launch), Traces(user=True, server=True)
            current_attempt.set(launch.attempt)
        await self._attempts(launch, self._run, Traces())

    async def _claim(self, launch: Launch, traces: Traces, *, least_s: float) -> LaunchError | None:
        """Enter the claimed server within the launch's time. Return None once it is ready, else the error.

        The time counts from the acceptance, which a claim is part of. `least_s`: the time that it gets in any case.
        """
        passed_s = (datetime.now(UTC) - launch.created_at).total_seconds()
        seconds = max(launch.time_left_s - passed_s, least_s)
        return await self._within(
            seconds,
            launch,
            lambda _: attempts.claim(
                launch.attempt,
                launch.request,
                hub=self.hub,
                entry=self._entry(launch),
                record=lambda step: self._record(launch, step),
                traces=traces,
                pace=self.pace,
            ),
        )

    # --- attempts -----------------------------------------------------------------------------------------------------

    async def _attempts(self, launch: Launch, attempt: _Try, traces: Traces) -> None:
        """Make attempts until one is ready or no other can help. Each failed one is cleaned up before the next."""
        failures = 0
        while error := await attempt(launch, traces):
            reason = f"{error} {error.operator_advice}".rstrip()
            log.info("launch %s attempt %d failed: %s", launch.id, launch.attempt.number, reason)
            failures += not isinstance(error, Interrupted)
            may_retry = error.retryable and failures < self.terms.attempts_max and not launch.is_member
            launch = await self._current(launch)  # with the deadline of its last admission
            if launch.status is Status.READY:
                break  # the launch timed out while `ready` was being stored
            if not await self._may_go_on(launch, error, traces, may_retry=may_retry):
                return
            launch, attempt, traces = await self._next_attempt(launch, str(error)), self._run, Traces()
            current_attempt.set(launch.attempt)
        log.info("launch %s is ready", launch.id)

    async def _may_go_on(self, launch: Launch, error: LaunchError, traces: Traces, *, may_retry: bool) -> bool:
        """Clean up after a failed attempt. Return whether another may follow; if not, the launch has failed."""
        cleaning = asyncio.create_task(self._clean_up_after(launch, error, traces))
        try:
            patience_s = launch.remaining_s if may_retry else self.pace.clean_up_grace_s
            await asyncio.wait({cleaning}, timeout=patience_s)
            if may_retry and _has_succeeded(cleaning):
                return True
            await self._fail(launch, error)
            await cleaning
            return False
        finally:
            cleaning.cancel()

    async def _run(self, launch: Launch, traces: Traces) -> LaunchError | None:
        """Make a new attempt once the launch is admitted, unless the image's registry does not have the image."""
        if self.preflight is not None and launch.launching_at is None and launch.image_digest is None:
            try:
                launch = await self.preflight.settle(launch)
            except PreflightRefused as error:
                return error
        if launch.admitted_at is None:
            try:
                launch = await self.admission.wait(launch)
            except NotAdmitted as error:
                return error
        requeue = Requeue(self.admission, max_wait_s=self.terms.max_wait_s, launch=launch, pace=self.pace)
        return await self._within(
            launch.remaining_s,
            launch,
            lambda limit: attempts.run(
                launch.attempt,
                launch.spawned,
                hub=self.hub,
                entry=self._entry(launch),
                record=lambda step: self._record(launch, step),
                traces=traces,
                wait_in_queue=lambda busy, turn: requeue.wait(busy, turn, limit),
                pace=self.pace,
            ),
        )

    async def _resume(self, launch: Launch, traces: Traces) -> LaunchError | None:
        """Continue the attempt that another process began, if the Hub has its server."""
        seconds = max(launch.remaining_s, self.pace.finish_s)
        return await self._within(seconds, launch, lambda _: self._follow(launch, traces))

    async def _follow(self, launch: Launch, traces: Traces) -> None:
        attempt = launch.attempt
        server = await find_server(self.hub, attempt, pace=self.pace)
        events = await from_store(self.launch_log.events(launch.id, after=0))
        past_events = [each for each in events if each.attempt == attempt.number and each.stalled_since is None]
        if server is None and (failure := await find_failure(self.hub, attempt, past_events)):
            raise failure
        if server is None or server.pending == "stop":
            raise Interrupted
        if not attempt.creates_user and not matches_request(server, launch.spawned):
            raise ServerExists("start the server", 400, "the user has started another server")
        if launch.status is Status.WAITING:
            await self._record(
                launch, Step(phase=Status.LAUNCHING, progress=None, message="JupyterHub has begun to start the server")
            )
        log.info("launch %s continues with attempt %d", launch.id, attempt.number)
        await attempts.resume(
            attempt,
            launch.request,
            server,
            past_events,
            hub=self.hub,
            entry=self._entry(launch),
            record=lambda step: self._record(launch, step),
            traces=traces,
            pace=self.pace,
        )

    async def _within(
        self, seconds: float, launch: Launch, attempt: Callable[[asyncio.Timeout], Awaitable[None]]
    ) -> LaunchError | None:
        """Make one attempt within `seconds`. Return None once it is ready, else the error.

        A fault of the store says nothing about the launch: it is raised, and the launch is retried later.
        """
        try:
            async with asyncio.timeout(seconds) as limit:
                await attempt(limit)
        except LaunchError as error:
            return error
        except (LeaseLost, StoreFault):
            raise
        except Exception as error:
            if isinstance(error, TimeoutError) and limit.expired():
                return SpawnTimedOut(self.terms.launch_timeout_s)
            log.exception("launch %s failed with an unexpected error", launch.id)
            return InternalError()
        return None

    async def _record(self, launch: Launch, step: Step) -> None:
        """Store the step. If the call is cancelled while it stores `ready`, it still returns after the store does."""
        if step.phase is not Status.READY:
            await from_store(self.launch_log.append(launch, step))
            return
        ready = replace(step, session_s=None if launch.is_member else self.terms.session_s)
        storing = asyncio.create_task(self.launch_log.append(launch, ready))
        try:
            await from_store(asyncio.shield(storing))
        except asyncio.CancelledError:
            await asyncio.gather(storing, return_exceptions=True)
            raise

    async def _next_attempt(self, launch: Launch, reason: str) -> Launch:
        """Store the failure of the last attempt, and the next attempt. A launch in the queue stays there."""
        phase = Status.WAITING if (await self._current(launch)).admitted_at is None else Status.LAUNCHING
        message = f"{reason.rstrip('.')}. Trying again."
        await self.launch_log.append(launch, Step(phase=phase, progress=None, message=message))
        following = following_attempt(launch.attempt, launch.request)
        await self.launch_log.begin_attempt(launch, following)
        return await self._current(launch)

    def _entry(self, launch: Launch) -> Entry:
        """Return how the visitor gets in. Nobody gets into the server of a pool's member before a launch claims it."""
        is_entered = launch.attempt.creates_user and not launch.is_member
        return self.terms.entry if is_entered else replace(self.terms.entry, token_mode="none")

    # --- endings ------------------------------------------------------------------------------------------------------

    async def _clean_up(
        self, launch: Launch, attempt: Attempt, traces: Traces, *, may_be_on_its_way: bool = False
    ) -> None:
        """Delete everything that the attempt's traces name.

        A request that was broken off, or sent by a process that then lost the launch, may reach the Hub after this. If
        it may create a user, the attempt is cleaned up again once no such request can be on its way.
        """
        await clean_up(attempt, launch.spawned, self.hub, traces=traces, pace=self.pace)
        again_in_s = self.terms.settled_s if may_be_on_its_way and attempt.creates_user and traces.user else None
        await self.upkeep.mark_cleaned(launch, attempt, again_in_s=again_in_s)

    async def _clean_up_after(self, launch: Launch, error: LaunchError, traces: Traces) -> None:
        # A Hub that has reported a failed spawn has answered every request before.
        await self._clean_up(launch, launch.attempt, traces, may_be_on_its_way=not isinstance(error, SpawnFailed))

    def _unknown(self, launch: Launch, attempt: Attempt | None = None) -> Traces:
        """Return every trace that the attempt, or without one the latest attempt, may have left."""
        of_attempt = launch if attempt is None else replace(launch, attempt=attempt)
        return Traces.unknown(mints_token=self._entry(of_attempt).token_mode == "hub")

    async def _fail(self, launch: Launch, error: LaunchError) -> None:
        await self.launch_log.append(
            launch,
            Step(
                phase=Status.FAILED,
                progress=None,
                message=error.title,
                problem=Problem.of(error),
                failed_spawn=failed_spawn(
                    error, hub_version=self.terms.hub_version(), on_account=not launch.attempt.creates_user
                ),
            ),
        )

    async def _current(self, launch: Launch) -> Launch:
        """Return the launch with everything stored since. Raises LeaseLost if another process has adopted it."""
        current = await self.launch_log.get(launch.id)
        if current is None or current.fence != launch.fence:
            raise LeaseLost(f"launch {launch.id} belongs to another process now")
        return current


def _has_succeeded(cleaning: asyncio.Task[None]) -> bool:
    """Return whether the clean-up is complete. Raise its error unless that is a LaunchError."""
    if not cleaning.done():
        return False
    error = cleaning.exception()
    if error is not None and not isinstance(error, LaunchError):
        raise error
    return error is None
