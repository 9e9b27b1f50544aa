"""LaunchService: accepts launches, runs each as a task of its own, retries and cancels them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Self

from ulid import ULID

from app.launch import attempt as attempts
from app.launch.account import Accounts, following_attempt
from app.launch.attempt import Entry
from app.launch.cleanup import clean_up
from app.launch.errors import (
    InternalError,
    LaunchError,
    LaunchNotFound,
    NameTaken,
    QuotaReached,
    ServiceStopping,
    SpawnTimedOut,
)
from app.launch.model import Attempt, Caller, Event, Launch, LaunchRequest, Problem, Status, Step
from app.launch.policy import Policy
from app.launch.ports import Hub, LaunchStore

log = logging.getLogger(__name__)

Check = Callable[[str, str, str, str], Awaitable[None]]
"""The pre_launch_hook: (image, username, server_name, repo_url); raises a RequestRefused."""

Work = Callable[[], Awaitable[None]]

CLEAN_UP_GRACE_S = 5.0
"""A failure is told after the clean-up, but no later than this; the clean-up then goes on behind it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """What every launch of this service is bound by."""

    launch_timeout_s: float
    attempts_max: int
    entry: Entry
    """How the visitor of a temporary user gets in; others have a login of their own."""


class LaunchService:
    """Runs launches. Use it as a context manager: leaving it ends all its tasks.

    Three endings are kept apart. *Cancelled*: somebody asked, so the spawn or server is stopped, cleaned up, and that
    is written. *Failed*: cleaned up, and the cause is written. *Shutdown*: nothing is written and nothing is stopped;
    the next process finds the launch in the store and goes on with it.
    """

    def __init__(
        self,
        *,
        store: LaunchStore,
        hub: Hub,
        policy: Policy,
        accounts: Accounts,
        terms: Terms,
        check: Check | None = None,
    ) -> None:
        self._store = store
        self._hub = hub
        self._accounts = accounts
        self._policy = policy
        self._terms = terms
        self._check = check
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._cancelled: set[str] = set()
        self._stopping = False

    async def __aenter__(self) -> Self:
        """Take up what an earlier process left: go on with launches under way, finish what was to be cleaned up."""
        for launch in await self._store.unfinished():
            self._begin(launch.id, partial(self._take_up, launch))
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._stopping = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def start(self, request: LaunchRequest, caller: Caller) -> Launch:
        """Accept a launch and begin it; it goes on whether or not anybody follows.

        Returns once the launch is stored, with the names of its first attempt. Raises a RequestRefused, or a HubError
        where the Hub has to be asked about the caller's account; then nothing is stored. Cancelling this call leaves
        open whether the launch was accepted.
        """
        if self._stopping:
            raise ServiceStopping
        self._policy.check(request, allowed_images=caller.allowed_images, groups=caller.groups)
        launch_id = str(ULID())
        standing = await self._ready(caller) if caller.kind == "hub" or request.username else ()
        first = await self._accounts.first_attempt(launch_id, request, caller)
        await self._mark_replaced(standing, first)
        if self._check is not None:
            await self._check(request.image, first.username, first.server_name, request.repo_url)
        launch = self._new_launch(request, caller, first)
        await self._accept(launch)
        log.info("launch %s accepted: %s", launch.id, request.image)
        self._begin(launch.id, partial(self._run, launch))
        return launch

    async def _ready(self, caller: Caller) -> Sequence[Launch]:
        return await self._store.launches(caller, status=Status.READY, limit=None)

    async def _mark_replaced(self, standing: Sequence[Launch], first: Attempt) -> None:
        """Launches that were ready for the server which the Hub then said is free: it is the new launch's now."""
        for launch in standing:
            if (launch.attempt.username, launch.attempt.server_name) == (first.username, first.server_name):
                await self._mark_gone(launch)

    async def _mark_gone(self, launch: Launch) -> None:
        """The server of a ready launch is gone, and what its user starts under that name is not the launch's."""
        if not launch.attempt.creates_user:
            await self._store.mark_cleaned(launch.attempt)
        with suppress(ValueError):  # somebody has cancelled it meanwhile
            await self._store.mark_stopped(launch.id, stopped_by="hub")

    async def _accept(self, launch: Launch) -> None:
        """Store the launch within its caller's quota, which ready launches whose servers have stopped do not use up."""
        try:
            await self._store.accept(launch)
        except QuotaReached:
            if not await self._find_stopped(launch.caller):
                raise
            await self._store.accept(launch)

    async def _find_stopped(self, caller: Caller) -> bool:
        """Ask the Hub about the caller's ready launches, the oldest first, until one has lost its server."""
        for launch in reversed(await self._store.launches(caller, status=Status.READY, limit=caller.max_active)):
            if not await self._has_server(launch):
                await self._mark_gone(launch)
                return True
        return False

    async def _has_server(self, launch: Launch) -> bool:
        user = await self._hub.get_user(launch.attempt.username)
        return user is not None and launch.attempt.server_name in user.servers

    async def get(self, launch_id: str) -> Launch:
        """The launch as it stands; LaunchNotFound."""
        launch = await self._store.get(launch_id)
        if launch is None:
            raise LaunchNotFound
        return launch

    async def page(
        self, caller: Caller | None, *, status: Status | None, before: str | None, limit: int
    ) -> Sequence[Launch]:
        """The launches of a caller, or everybody's, the newest first."""
        return await self._store.launches(caller, status=status, before=before, limit=limit)

    async def cancel(self, launch_id: str) -> bool:
        """Stop the spawn or the server and delete what the launch created; safe to repeat; LaunchNotFound.

        True once the Hub has confirmed it, and for what had ended before; False while that is under way.
        """
        launch = await self.get(launch_id)
        if not launch.is_under_way and launch.status is not Status.READY:
            return True
        await self._store.request_cancel(launch_id)
        if launch_id not in self._cancelled:
            self._cancelled.add(launch_id)
            task = self._tasks.get(launch_id)
            if task is not None and not task.done():
                task.cancel()
            else:
                self._begin(launch_id)
        return False

    # --- one launch ---------------------------------------------------------------------------------------------------

    def _new_launch(self, request: LaunchRequest, caller: Caller, first: Attempt) -> Launch:
        launch_id, now = first.launch_id, datetime.now(UTC)
        return Launch(
            id=launch_id,
            caller=caller,
            request=request,
            status=Status.WAITING,
            created_at=now,
            deadline_at=now + timedelta(seconds=self._terms.launch_timeout_s),
            attempt=first,
            last_event=Event(
                launch_id=launch_id, seq=1, at=now, attempt=1, phase=Status.WAITING, progress=0, message="Accepted"
            ),
        )

    def _begin(self, launch_id: str, work: Work | None = None) -> None:
        """Begin a launch's task; without `work` all that it does is to carry out a requested cancellation."""
        task = asyncio.create_task(self._owned(launch_id, work), name=f"launch {launch_id}")
        self._tasks[launch_id] = task
        task.add_done_callback(lambda _: self._forget(launch_id, task))

    def _forget(self, launch_id: str, task: asyncio.Task[None]) -> None:
        """A task that has ended; another of the same launch may have taken its place."""
        if self._tasks.get(launch_id) is task:
            del self._tasks[launch_id]

    async def _owned(self, launch_id: str, work: Work | None) -> None:
        """One launch's task: nothing that goes wrong in it is lost, and a requested cancellation is carried out."""
        try:
            try:
                if work is not None:
                    await work()
            except asyncio.CancelledError:
                if self._stopping or launch_id not in self._cancelled:
                    raise
            if launch_id in self._cancelled:
                await self._end_cancelled(launch_id)
        except Exception:
            log.exception("launch %s broke off; the next start of this service takes it up again", launch_id)
        finally:
            self._cancelled.discard(launch_id)

    async def _take_up(self, launch: Launch) -> None:
        """Go on with a launch that another process began: what its attempt left is deleted before the next begins."""
        if launch.cancel_requested_at is not None:
            await self._end_cancelled(launch.id)
            return
        await self._clean_up(launch.attempt)
        if launch.is_under_way:
            await self._run(await self._next_attempt(launch, "This service was restarted"))

    async def _run(self, launch: Launch) -> None:
        """Attempt after attempt until one is ready or no other can help. Before each the last one is cleaned up."""
        while error := await self._try(launch):
            log.info("launch %s attempt %d failed: %s", launch.id, launch.attempt.number, error)
            again = error.retryable and launch.attempt.number < self._terms.attempts_max
            cleaning = asyncio.create_task(self._clean_up_after(launch.attempt, error))
            try:
                await asyncio.wait({cleaning}, timeout=_remaining_s(launch) if again else CLEAN_UP_GRACE_S)
                if again and cleaning.done() and cleaning.exception() is None:
                    launch = await self._next_attempt(launch, str(error))
                    continue
                await self._store.append(launch.id, await self._failed(launch.id, error))
                await cleaning
                break
            finally:
                cleaning.cancel()

    async def _try(self, launch: Launch) -> LaunchError | None:
        """Run one attempt within the launch's time. None once it is ready, else why it is not."""
        try:
            async with asyncio.timeout(_remaining_s(launch)) as limit:
                await attempts.run(
                    launch.attempt,
                    launch.request,
                    hub=self._hub,
                    entry=self._entry(launch.attempt),
                    record=lambda step: self._store.append(launch.id, step),
                )
        except LaunchError as error:
            return error
        except Exception as error:
            if isinstance(error, TimeoutError) and limit.expired():
                return SpawnTimedOut(self._terms.launch_timeout_s)
            log.exception("launch %s met an error that is not provided for", launch.id)
            return InternalError()
        log.info("launch %s is ready", launch.id)
        return None

    def _entry(self, attempt: Attempt) -> Entry:
        return self._terms.entry if attempt.creates_user else replace(self._terms.entry, token_mode="none")

    async def _next_attempt(self, launch: Launch, reason: str) -> Launch:
        """Tell that the last attempt came to nothing, and store the next one."""
        progress = (await self.get(launch.id)).last_event.progress
        message = f"{reason.rstrip('.')}. Trying again."
        await self._store.append(launch.id, Step(phase=Status.LAUNCHING, progress=progress, message=message))
        following = following_attempt(launch.attempt, launch.request)
        await self._store.begin_attempt(following)
        return replace(launch, attempt=following)

    # --- endings ------------------------------------------------------------------------------------------------------

    async def _clean_up(self, attempt: Attempt) -> None:
        await clean_up(attempt, self._hub, minted=self._entry(attempt).token_mode == "hub")
        await self._store.mark_cleaned(attempt)

    async def _clean_up_after(self, attempt: Attempt, error: LaunchError) -> None:
        if isinstance(error, NameTaken):
            await self._store.mark_cleaned(attempt)
        else:
            await self._clean_up(attempt)

    async def _failed(self, launch_id: str, error: LaunchError) -> Step:
        progress = (await self.get(launch_id)).last_event.progress
        return Step(phase=Status.FAILED, progress=progress, message=error.title, problem=Problem.of(error))

    async def _end_cancelled(self, launch_id: str) -> None:
        launch = await self.get(launch_id)
        await self._clean_up(launch.attempt)
        if launch.is_under_way:
            await self._store.append(
                launch_id, Step(phase=Status.CANCELLED, progress=launch.last_event.progress, message="Cancelled")
            )
        elif launch.status is Status.READY:
            await self._store.mark_stopped(launch_id, stopped_by="caller")


def _remaining_s(launch: Launch) -> float:
    return max(0.0, (launch.deadline_at - datetime.now(UTC)).total_seconds())
