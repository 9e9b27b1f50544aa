"""The course of one launch: attempt after attempt, from its acceptance, or from wherever another process left it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from hublaunch.launch.acceptance.account import following_attempt
from hublaunch.launch.course import attempt as attempts
from hublaunch.launch.course.admission import Admission
from hublaunch.launch.course.attempt import Entry
from hublaunch.launch.course.cleanup import Traces, clean_up, was_asked_for
from hublaunch.launch.course.inspection import failure_of, standing_server
from hublaunch.launch.course.requeue import Requeue, from_records
from hublaunch.launch.errors import (
    InternalError,
    Interrupted,
    LaunchError,
    NotAdmitted,
    ServerExists,
    SpawnFailed,
    SpawnTimedOut,
)
from hublaunch.launch.log_context import attempt_at_hand
from hublaunch.launch.model import Attempt, Launch, Problem, Status, Step
from hublaunch.launch.pace import Pace
from hublaunch.launch.ports import Hub, LaunchStore, LeaseLost, StoreFault
from hublaunch.launch.rules.guard import abandoned_spawn, failed_spawn

log = logging.getLogger(__name__)

_Try = Callable[[Launch, Traces], Awaitable[LaunchError | None]]
"""One attempt at the Hub, its creations noted in the traces. None once it is ready, else why it is not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """What every launch of this service is bound by."""

    launch_timeout_s: float
    max_wait_s: float
    """How long a launch may wait in the queue: before its admission, and again after the Hub's 429."""
    attempts_max: int
    """Attempts of which each but the last fails in a way that another may help."""
    entry: Entry
    """How the visitor of a temporary user gets in; others have a login of their own."""
    settled_s: float
    """How long a request may still reach the Hub after it was broken off or its process lost the launch: a lease and
    a call."""


class Course:
    """Brings launches to their ends. Every write carries the launch's fence: LeaseLost ends whatever is going on.

    A call that is cancelled writes nothing more and stops nothing at the Hub: whoever has the launch next goes on.
    """

    def __init__(
        self,
        *,
        store: LaunchStore,
        hub: Hub,
        admission: Admission,
        terms: Terms,
        hub_version: Callable[[], str | None] = lambda: None,
        pace: Pace = Pace(),
    ) -> None:
        self._store = store
        self._hub = hub
        self._admission = admission
        self._terms = terms
        self._hub_version = hub_version
        self._pace = pace

    async def run(self, launch: Launch) -> None:
        """Run a launch from its admission on, attempt after attempt until one is ready or no other can help."""
        await self._attempts(launch, self._run, Traces())

    async def take_over(self, launch: Launch) -> None:
        """Go on with a launch that another process had, after a look at the Hub; clean up what is due."""
        if launch.cancel_requested_at is not None and (launch.is_under_way or launch.status is Status.READY):
            await self.cancel(launch)
        elif launch.is_under_way and not launch.has_asked_hub:
            await self.run(launch)  # the attempt has asked nothing yet, and the process before cannot ask any more
        elif launch.is_under_way:
            await self._attempts(launch, self._go_on, self._unknown(launch.attempt))
        for attempt in await self._store.due(launch.id):
            await self._clean_up(launch, attempt, self._unknown(attempt))

    async def cancel(self, launch: Launch) -> None:
        """Stop the spawn or the server, delete what the launch created, then write that it was cancelled."""
        launch = await self._as_it_stands(launch)
        if not (launch.is_under_way or launch.status is Status.READY):
            return
        if launch.cleaned_at is None:
            traces = self._unknown(launch.attempt) if launch.has_asked_hub else Traces()
            await self._clean_up(launch, launch.attempt, traces, may_be_on_its_way=launch.is_under_way)
        launch = await self._as_it_stands(launch)  # a step was perhaps on its way to the store when it was broken off
        if launch.is_under_way:
            failed = abandoned_spawn(hub_version=self._hub_version()) if launch.launching_at is not None else None
            step = Step(phase=Status.CANCELLED, progress=None, message="Cancelled", failed_spawn=failed)
            await self._store.append(launch, step)
        elif launch.status is Status.READY:
            await self._store.mark_stopped(launch, stopped_by="caller", clean_in_s=None)

    # --- attempts -----------------------------------------------------------------------------------------------------

    async def _attempts(self, launch: Launch, trying: _Try, traces: Traces) -> None:
        """Before each attempt but the first the last one is cleaned up."""
        failures = 0
        while error := await trying(launch, traces):
            said = f"{error} {error.operator_advice}".rstrip()
            log.info("launch %s attempt %d failed: %s", launch.id, launch.attempt.number, said)
            failures += not isinstance(error, Interrupted)
            again = error.retryable and failures < self._terms.attempts_max
            launch = await self._as_it_stands(launch)  # with the deadline of its last admission
            if launch.status is Status.READY:
                break  # the launch's time ended while `ready` was being stored
            cleaning = asyncio.create_task(self._clean_up_after(launch, error, traces))
            try:
                await asyncio.wait({cleaning}, timeout=launch.remaining_s if again else self._pace.clean_up_grace_s)
                if not (again and _is_done(cleaning)):
                    await self._fail(launch, error)
                    await cleaning
                    return
            finally:
                cleaning.cancel()
            launch, trying, traces = await self._next_attempt(launch, str(error)), self._run, Traces()
            attempt_at_hand.set(launch.attempt)
        log.info("launch %s is ready", launch.id)

    async def _run(self, launch: Launch, traces: Traces) -> LaunchError | None:
        """A new attempt, once the launch is admitted."""
        if launch.admitted_at is None:
            try:
                launch = await self._admission.wait(launch)
            except NotAdmitted as error:
                return error
        requeue = Requeue(
            self._store, self._admission, max_wait_s=self._terms.max_wait_s, launch=launch, pace=self._pace
        )
        return await self._within(
            launch.remaining_s,
            launch,
            lambda limit: attempts.run(
                launch.attempt,
                launch.request,
                hub=self._hub,
                entry=self._entry(launch.attempt),
                record=lambda step: self._record(launch, step),
                traces=traces,
                wait_in_queue=lambda busy, turn: requeue.wait(busy, turn, limit),
                pace=self._pace,
            ),
        )

    async def _go_on(self, launch: Launch, traces: Traces) -> LaunchError | None:
        """The attempt that another process began, if there is anything of it at the Hub."""
        seconds = max(launch.remaining_s, self._pace.finish_s)
        return await self._within(seconds, launch, lambda _: self._follow(launch, traces))

    async def _follow(self, launch: Launch, traces: Traces) -> None:
        attempt = launch.attempt
        server = await standing_server(self._hub, attempt.username, attempt.server_name, pace=self._pace)
        events = await from_records(self._store.events(launch.id, after=0))
        told = [event for event in events if event.attempt == attempt.number]
        if server is None and (failure := await failure_of(self._hub, attempt, told)):
            raise failure
        if server is None or server.pending == "stop":
            raise Interrupted
        if not attempt.creates_user and not was_asked_for(server, launch.request):
            raise ServerExists("start the server", 400, "the user has started another one meanwhile")
        if launch.status is Status.WAITING:
            await self._record(launch, Step(phase=Status.LAUNCHING, progress=None, message="JupyterHub has begun"))
        log.info("launch %s goes on with attempt %d", launch.id, attempt.number)
        await attempts.go_on(
            attempt,
            server,
            told,
            hub=self._hub,
            entry=self._entry(attempt),
            record=lambda step: self._record(launch, step),
            traces=traces,
            pace=self._pace,
        )

    async def _within(
        self, seconds: float, launch: Launch, attempt: Callable[[asyncio.Timeout], Awaitable[None]]
    ) -> LaunchError | None:
        """Run one attempt within the launch's time. None once it is ready, else why it is not.

        What is wrong with the records says nothing of the launch: it is raised, and the launch taken up again later.
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
                return SpawnTimedOut(self._terms.launch_timeout_s)
            log.exception("launch %s met an error that is not provided for", launch.id)
            return InternalError()
        return None

    async def _record(self, launch: Launch, step: Step) -> None:
        """Store the step. A call that is cancelled at `ready` returns once the store has answered all the same."""
        if step.phase is not Status.READY:
            await from_records(self._store.append(launch, step))
            return
        storing = asyncio.create_task(self._store.append(launch, step))
        try:
            await from_records(asyncio.shield(storing))
        except asyncio.CancelledError:
            await asyncio.gather(storing, return_exceptions=True)
            raise

    async def _next_attempt(self, launch: Launch, reason: str) -> Launch:
        """Tell that the last attempt came to nothing, and store the next one. In line the launch stays in the queue."""
        phase = Status.WAITING if (await self._as_it_stands(launch)).admitted_at is None else Status.LAUNCHING
        message = f"{reason.rstrip('.')}. Trying again."
        await self._store.append(launch, Step(phase=phase, progress=None, message=message))
        following = following_attempt(launch.attempt, launch.request)
        await self._store.begin_attempt(launch, following)
        return await self._as_it_stands(launch)

    def _entry(self, attempt: Attempt) -> Entry:
        return self._terms.entry if attempt.creates_user else replace(self._terms.entry, token_mode="none")

    # --- endings ------------------------------------------------------------------------------------------------------

    async def _clean_up(
        self, launch: Launch, attempt: Attempt, traces: Traces, *, may_be_on_its_way: bool = False
    ) -> None:
        """Delete what the attempt created, as far as its traces go.

        A request that was broken off, or that a process sent before the launch was taken from it, may reach the Hub
        after this. A user that only such a request can have made is looked for, and deleted, once more when none can be
        on its way any longer.
        """
        await clean_up(attempt, launch.request, self._hub, traces=traces, pace=self._pace)
        again_in_s = self._terms.settled_s if may_be_on_its_way and attempt.creates_user and traces.user else None
        await self._store.mark_cleaned(launch, attempt, again_in_s=again_in_s)

    async def _clean_up_after(self, launch: Launch, error: LaunchError, traces: Traces) -> None:
        # Told that the spawn has failed, the Hub has answered everything before.
        await self._clean_up(launch, launch.attempt, traces, may_be_on_its_way=not isinstance(error, SpawnFailed))

    def _unknown(self, attempt: Attempt) -> Traces:
        return Traces.of_unknown_course(minted=self._entry(attempt).token_mode == "hub")

    async def _fail(self, launch: Launch, error: LaunchError) -> None:
        await self._store.append(
            launch,
            Step(
                phase=Status.FAILED,
                progress=None,
                message=error.title,
                problem=Problem.of(error),
                failed_spawn=failed_spawn(
                    error, hub_version=self._hub_version(), on_account=not launch.attempt.creates_user
                ),
            ),
        )

    async def _as_it_stands(self, launch: Launch) -> Launch:
        """The launch with all that was written of it since; LeaseLost if that was another process."""
        current = await self._store.get(launch.id)
        if current is None or current.fence != launch.fence:
            raise LeaseLost(f"launch {launch.id} is another process's now")
        return current


def _is_done(cleaning: asyncio.Task[None]) -> bool:
    """Whether the clean-up is over; raises what is no fault of the Hub's."""
    if not cleaning.done():
        return False
    error = cleaning.exception()
    if error is not None and not isinstance(error, LaunchError):
        raise error
    return error is None
