"""The course of one launch: attempt after attempt, from its acceptance, or from wherever another process left it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from app.launch import attempt as attempts
from app.launch.account import following_attempt
from app.launch.attempt import Entry
from app.launch.cleanup import clean_up
from app.launch.errors import InternalError, LaunchError, NameTaken, SpawnTimedOut
from app.launch.model import Attempt, Launch, LaunchRequest, Problem, Status, Step
from app.launch.ports import Hub, LaunchStore, LeaseLost, Server
from app.launch.spawn import standing_server

log = logging.getLogger(__name__)

CLEAN_UP_GRACE_S = 5.0
"""A failure is told after the clean-up, but no later than this; the clean-up then goes on behind it."""
_FINISH_S = 30.0
"""What a launch gets at least that is taken over with its server already ready: all that is left is to say so."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """What every launch of this service is bound by."""

    launch_timeout_s: float
    attempts_max: int
    """Attempts of which each but the last fails in a way that another may help."""
    entry: Entry
    """How the visitor of a temporary user gets in; others have a login of their own."""
    settled_s: float
    """How long after a launch has changed hands its former owner may still reach the Hub: a lease and a call."""


class Course:
    """Brings launches to their ends. Every write carries the launch's fence: LeaseLost ends whatever is going on.

    A call that is cancelled writes nothing more and stops nothing at the Hub: whoever has the launch next goes on.
    """

    def __init__(self, *, store: LaunchStore, hub: Hub, terms: Terms) -> None:
        self._store = store
        self._hub = hub
        self._terms = terms

    async def run(self, launch: Launch) -> None:
        """Run a launch that was just accepted, attempt after attempt until one is ready or no other can help."""
        await self._attempts(launch, self._run(launch))

    async def take_over(self, launch: Launch) -> None:
        """Go on with a launch that another process had, after a look at the Hub; clean up what is due."""
        if launch.cancel_requested_at is not None and (launch.is_under_way or launch.status is Status.READY):
            await self.cancel(launch)
        elif launch.is_under_way:
            await self._go_on(launch)
        for attempt in await self._store.due(launch.id):
            await self._clean_up(launch, attempt)

    async def cancel(self, launch: Launch) -> None:
        """Stop the spawn or the server, delete what the launch created, then write that it was cancelled."""
        launch = await self._as_it_stands(launch)
        if not (launch.is_under_way or launch.status is Status.READY):
            return
        await self._clean_up(launch, launch.attempt)
        launch = await self._as_it_stands(launch)  # a step was perhaps on its way to the store when it was broken off
        if launch.is_under_way:
            await self._store.append(launch, Step(phase=Status.CANCELLED, progress=None, message="Cancelled"))
        elif launch.status is Status.READY:
            await self._store.mark_stopped(launch, stopped_by="caller", clean_in_s=None)

    # --- attempts -----------------------------------------------------------------------------------------------------

    async def _go_on(self, launch: Launch) -> None:
        attempt, is_new_user = launch.attempt, launch.attempt.creates_user
        server = await standing_server(self._hub, attempt.username, attempt.server_name)
        if server is not None and server.pending != "stop" and (is_new_user or _was_asked_for(server, launch.request)):
            log.info("launch %s goes on with attempt %d", launch.id, attempt.number)
            await self._attempts(launch, self._follow(launch, server))
            return
        if is_new_user or server is None:
            # The former owner may be on its way to the Hub yet, so what only it creates is deleted a second time.
            await self._clean_up(launch, launch.attempt, again_in_s=self._terms.settled_s if is_new_user else None)
        else:
            await self._store.mark_cleaned(launch, launch.attempt)  # the server is its user's own
        await self.run(await self._next_attempt(launch, "This service was restarted"))

    async def _attempts(self, launch: Launch, trying: Awaitable[LaunchError | None]) -> None:
        """Before each attempt but the first the last one is cleaned up."""
        failures = 0
        while error := await trying:
            failures += 1
            log.info("launch %s attempt %d failed: %s", launch.id, launch.attempt.number, error)
            again = error.retryable and failures < self._terms.attempts_max
            cleaning = asyncio.create_task(self._clean_up_after(launch, error))
            try:
                await asyncio.wait({cleaning}, timeout=_remaining_s(launch) if again else CLEAN_UP_GRACE_S)
                if not (again and cleaning.done() and cleaning.exception() is None):
                    await self._fail(launch, error)
                    await cleaning
                    return
            finally:
                cleaning.cancel()
            launch = await self._next_attempt(launch, str(error))
            trying = self._run(launch)
        log.info("launch %s is ready", launch.id)

    async def _run(self, launch: Launch) -> LaunchError | None:
        return await self._within(
            _remaining_s(launch),
            launch,
            lambda: attempts.run(
                launch.attempt,
                launch.request,
                hub=self._hub,
                entry=self._entry(launch.attempt),
                record=lambda step: self._store.append(launch, step),
            ),
        )

    async def _follow(self, launch: Launch, server: Server) -> LaunchError | None:
        told = [
            event for event in await self._store.events(launch.id, after=0) if event.attempt == launch.attempt.number
        ]
        return await self._within(
            max(_remaining_s(launch), _FINISH_S) if server.ready else _remaining_s(launch),
            launch,
            lambda: attempts.go_on(
                launch.attempt,
                server,
                told,
                hub=self._hub,
                entry=self._entry(launch.attempt),
                record=lambda step: self._store.append(launch, step),
            ),
        )

    async def _within(
        self, seconds: float, launch: Launch, attempt: Callable[[], Awaitable[None]]
    ) -> LaunchError | None:
        """Run one attempt within the launch's time. None once it is ready, else why it is not."""
        try:
            async with asyncio.timeout(seconds) as limit:
                await attempt()
        except LaunchError as error:
            return error
        except LeaseLost:
            raise
        except Exception as error:
            if isinstance(error, TimeoutError) and limit.expired():
                return SpawnTimedOut(self._terms.launch_timeout_s)
            log.exception("launch %s met an error that is not provided for", launch.id)
            return InternalError()
        return None

    async def _next_attempt(self, launch: Launch, reason: str) -> Launch:
        """Tell that the last attempt came to nothing, and store the next one."""
        message = f"{reason.rstrip('.')}. Trying again."
        await self._store.append(launch, Step(phase=Status.LAUNCHING, progress=None, message=message))
        following = following_attempt(launch.attempt, launch.request)
        await self._store.begin_attempt(launch, following)
        return replace(launch, attempt=following)

    def _entry(self, attempt: Attempt) -> Entry:
        return self._terms.entry if attempt.creates_user else replace(self._terms.entry, token_mode="none")

    # --- endings ------------------------------------------------------------------------------------------------------

    async def _clean_up(self, launch: Launch, attempt: Attempt, *, again_in_s: float | None = None) -> None:
        await clean_up(attempt, self._hub, minted=self._entry(attempt).token_mode == "hub")
        await self._store.mark_cleaned(launch, attempt, again_in_s=again_in_s)

    async def _clean_up_after(self, launch: Launch, error: LaunchError) -> None:
        if isinstance(error, NameTaken):
            await self._store.mark_cleaned(launch, launch.attempt)
        else:
            await self._clean_up(launch, launch.attempt)

    async def _fail(self, launch: Launch, error: LaunchError) -> None:
        step = Step(phase=Status.FAILED, progress=None, message=error.title, problem=Problem.of(error))
        await self._store.append(launch, step)

    async def _as_it_stands(self, launch: Launch) -> Launch:
        """The launch with all that was written of it since; LeaseLost if that was another process."""
        current = await self._store.get(launch.id)
        if current is None or current.fence != launch.fence:
            raise LeaseLost(f"launch {launch.id} is another process's now")
        return current


def _was_asked_for(server: Server, request: LaunchRequest) -> bool:
    """Whether a server on an account that was there before is what the launch asked for, as far as the Hub tells."""
    options = server.user_options
    return options is None or (options.get("image"), options.get("repo_url")) == (request.image, request.repo_url)


def _remaining_s(launch: Launch) -> float:
    return max(0.0, (launch.deadline_at - datetime.now(UTC)).total_seconds())
