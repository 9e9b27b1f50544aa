"""LaunchService: accepts launches, shows them and has them cancelled."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

from ulid import ULID

from hublaunch.launch.acceptance.account import Accounts
from hublaunch.launch.acceptance.idempotency import IdempotencyKey, idempotency_key
from hublaunch.launch.acceptance.quota_reclaim import Places
from hublaunch.launch.acceptance.reuse import Running
from hublaunch.launch.course.admission import Admission
from hublaunch.launch.course.lease import Leases
from hublaunch.launch.course.reaper import Reaper
from hublaunch.launch.errors import LaunchGone, LaunchNotFound, QuotaReached, ServiceStopping
from hublaunch.launch.log_context import attempt_at_hand
from hublaunch.launch.model import Attempt, Caller, Event, Launch, LaunchRequest, Status
from hublaunch.launch.ports import LaunchStore, Only, Wanted
from hublaunch.launch.rules.policy import Policy
from hublaunch.launch.rules.queue_order import Weight
from hublaunch.launch.rules.quotas import Limits, Quota

log = logging.getLogger(__name__)

_RECENT_MAX = 20
"""How many launches are looked at for one to go on with; a caller has few of one request."""

Check = Callable[[str, str, str, str], Awaitable[None]]
"""The pre_launch_hook: (image, username, server_name, repo_url); raises a RequestRefused."""
Count = Callable[[], Awaitable[None]]
"""Counts a request for a launch; raises RateLimited."""


class LaunchService:
    """What routes are given. What happens to a launch after its acceptance is up to `lease.py` and `course.py`."""

    def __init__(
        self,
        *,
        store: LaunchStore,
        admission: Admission,
        leases: Leases,
        places: Places,
        reaper: Reaper,
        running: Running,
        policy: Policy,
        limits: Callable[[], Limits],
        accounts: Accounts,
        launch_timeout_s: float,
        max_wait_s: float,
        most_under_way: int,
        weight: Weight,
        retention_s: float,
        new_id: Callable[[], str],
        check: Check | None = None,
    ) -> None:
        """`new_id` makes the ULID of a launch."""
        self._store = store
        self._admission = admission
        self._leases = leases
        self._places = places
        self._reaper = reaper
        self._running = running
        self._policy = policy
        self._limits = limits
        self._accounts = accounts
        self._launch_timeout_s = launch_timeout_s
        self._max_wait_s = max_wait_s
        self._most_under_way = most_under_way
        self._weight = weight
        self._retention_s = retention_s
        self._new_id = new_id
        self._check = check
        self._stopping = False

    def stop(self) -> None:
        """Accept nothing more."""
        self._stopping = True

    async def start(
        self,
        request: LaunchRequest,
        caller: Caller,
        *,
        key: str | None = None,
        count: Count | None = None,
        only_one: bool = False,
    ) -> Launch:
        """Accept a launch and begin it; it goes on whether or not anybody follows.

        Returns once the launch is stored, with the names of its first attempt. With an Idempotency-Key that came
        before with this request, returns the launch that was accepted then, as it stands now; every other request is
        counted by `count`. With `only_one` AlreadyRunning if the caller has a launch of the same image and repository.
        Raises another RequestRefused, or a HubError where the Hub has to be asked what the caller has; then nothing is
        stored. Cancelling this call leaves open whether the launch was accepted; one that was runs all the same.
        """
        if self._stopping:
            raise ServiceStopping
        sent_before = None if key is None else idempotency_key(key, caller, request)
        if sent_before is not None and (earlier := await self._store.find(sent_before)):
            return earlier
        if count is not None:
            await count()
        self._policy.check(request, allowed_images=caller.allowed_images, groups=caller.groups)
        launch_id, account = self._new_id(), self._accounts.existing_user(request, caller)
        only = await self._running.check(request, caller, username=account) if only_one else None
        await self._admission.check_image(request.image)
        standing = await self._ready_on(account, caller) if account is not None else ()
        first = await self._accounts.first_attempt(launch_id, request, caller)
        attempt_at_hand.set(first)
        await self._mark_replaced(standing, first)
        if self._check is not None:
            await self._check(request.image, first.username, first.server_name, request.repo_url)
        launch = self._new_launch(request, caller, first)
        with self._admission.expecting(launch.id):
            accepted = await self._accept(launch, sent_before, only)
        if accepted.id == launch.id:
            log.info("launch %s accepted: %s", launch.id, request.image)
            self._leases.begin(launch)
        else:
            self._admission.forget(launch.id)
        return accepted

    async def _accept(self, launch: Launch, key: IdempotencyKey | None, only: Only | None) -> Launch:
        """Accept it, if need be in the place of one whose server turns out to have stopped.

        After each look at the Hub it is tried again, as others may have found and taken places meanwhile. The refusal
        that comes after a look that found none is raised.
        """
        quotas = self._limits().quotas(launch.caller, launch.request, at=launch.created_at)
        used_up: set[Quota] = set()
        while True:
            try:
                return await self._store.accept(
                    launch, key, only=only, quotas=quotas, most_under_way=self._most_under_way, weight=self._weight
                )
            except QuotaReached as refusal:
                if refusal.quota in used_up:
                    quota = refusal.quota
                    log.info("Refused: %s (%s)", refusal, quota.pattern or quota.name or quota.scope)
                    raise
                if not await self._places.freed(refusal.quota):
                    used_up.add(refusal.quota)

    async def _ready_on(self, username: str, caller: Caller) -> Sequence[Launch]:
        """The caller's ready launches on the account of this Hub user."""
        return await self._store.launches(Wanted(caller=caller, status=Status.READY, username=username), limit=None)

    async def _mark_replaced(self, standing: Sequence[Launch], first: Attempt) -> None:
        """Launches that were ready for the server which the Hub then said is free: it is the new launch's now."""
        for launch in standing:
            if (launch.attempt.username, launch.attempt.server_name) == (first.username, first.server_name):
                await self._reaper.mark_gone(launch)

    async def get(self, launch_id: str) -> Launch:
        """The launch as it stands; LaunchNotFound, or LaunchGone for an id from before all that is kept."""
        launch = await self._store.get(launch_id)
        if launch is None:
            age_s = datetime.now(UTC).timestamp() - ULID.from_str(launch_id).timestamp
            raise LaunchGone if age_s > self._retention_s else LaunchNotFound
        return launch

    async def recent(self, request: LaunchRequest, caller: Caller, *, within_s: float) -> Launch | None:
        """The caller's newest launch of this very request that still leads to a server; None if there is none.

        That is one under way, or a ready one that was accepted within `within_s` and whose server stands, by the Hub;
        a HubError if the Hub cannot say.
        """
        since = datetime.now(UTC) - timedelta(seconds=within_s)
        wanted = Wanted(caller=caller, image=request.image, repo_url=request.repo_url)
        for launch in await self._store.launches(wanted, limit=_RECENT_MAX):
            if launch.request != request or launch.cancel_requested_at is not None:
                continue
            is_fresh = launch.status is Status.READY and launch.created_at > since
            if launch.is_under_way or (is_fresh and await self._reaper.stands(launch)):
                return launch
        return None

    async def page(self, wanted: Wanted, *, limit: int) -> Sequence[Launch]:
        """Launches, the newest first."""
        return await self._store.launches(wanted, limit=limit)

    async def cancel(self, launch_id: str, *, by: Caller | None = None) -> bool:
        """Stop the spawn or the server and delete what the launch created; safe to repeat; LaunchNotFound, LaunchGone.

        True once the Hub has confirmed it, and for what had ended before; False while that is under way.
        """
        launch = await self.get(launch_id)
        if not launch.is_under_way and launch.status is not Status.READY:
            return True
        await self._leases.cancel(launch_id, by=by)
        return False

    def _new_launch(self, request: LaunchRequest, caller: Caller, first: Attempt) -> Launch:
        launch_id, now = first.launch_id, datetime.now(UTC)
        return Launch(
            id=launch_id,
            caller=caller,
            request=request,
            status=Status.WAITING,
            created_at=now,
            deadline_at=now + timedelta(seconds=self._max_wait_s),
            time_left_s=self._launch_timeout_s,
            attempt=first,
            last_event=Event(
                launch_id=launch_id, seq=1, at=now, attempt=1, phase=Status.WAITING, progress=0, message="Accepted"
            ),
        )
