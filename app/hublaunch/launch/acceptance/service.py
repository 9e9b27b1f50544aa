"""LaunchService: starts, finds and cancels launches."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ulid import ULID

from hublaunch.launch.acceptance.acceptance import Acceptance, Count
from hublaunch.launch.acceptance.idempotency import idempotency_key
from hublaunch.launch.acceptance.reuse import ExistingLaunches
from hublaunch.launch.caller import Caller
from hublaunch.launch.course.lease import Leases
from hublaunch.launch.errors import LaunchGone, LaunchNotFound, ServiceStopping
from hublaunch.launch.model import Launch, LaunchRequest, Status
from hublaunch.launch.ports import LaunchFilter, LaunchLog

log = logging.getLogger(__name__)


@dataclass(eq=False, kw_only=True, slots=True)
class LaunchService:
    """The core as the HTTP layer sees it. Once a launch is accepted, `lease.py` and `runner.py` run it."""

    launch_log: LaunchLog
    acceptance: Acceptance
    existing: ExistingLaunches
    leases: Leases
    retention_s: float
    new_id: Callable[[], str]
    """Returns the ULID of a new launch."""
    _stopping: bool = field(default=False, init=False)

    def stop(self) -> None:
        """Refuse every launch from now on."""
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
        """Accept a launch and start it; it continues whether or not anybody follows it.

        Return once the launch is stored with the names of its first attempt. If this request was sent before with the
        same Idempotency-Key (`key`), return the launch that was accepted then, in its current state. `count` is called
        for every other request, before any check.

        Raise AlreadyRunning if `only_one` is set and the caller has a launch of the same image, repository and ref.
        Raise another RequestRefused or a PreflightRefused if the launch is refused, or a HubError if the Hub could not
        be asked about the caller's account. Nothing is stored then. If this call is cancelled, the launch may
        have been accepted, and then runs.
        """
        if self._stopping:
            raise ServiceStopping
        sent_before = None if key is None else idempotency_key(key, caller, request)
        if sent_before is not None and (earlier := await self.launch_log.find(sent_before)):
            return earlier
        if count is not None:
            await count()
        launch_id = self.new_id()
        launch = await self.acceptance.accept(launch_id, request, caller, key=sent_before, only_one=only_one)
        if launch.id == launch_id:
            with_server = ", with a warm server" if launch.is_claim else ""
            log.info("launch %s accepted%s: %s", launch.id, with_server, launch.request.image)
            self.leases.begin(launch)
        return launch

    async def get(self, launch_id: str) -> Launch:
        """Return the launch's current state. Raises LaunchNotFound, or LaunchGone if the id is older than retention."""
        launch = await self.launch_log.get(launch_id)
        if launch is None:
            age_s = datetime.now(UTC).timestamp() - ULID.from_str(launch_id).timestamp
            raise LaunchGone if age_s > self.retention_s else LaunchNotFound
        return launch

    async def recent(self, request: LaunchRequest, caller: Caller, *, within_s: float) -> Launch | None:
        """Return the caller's newest launch of an identical request that still leads to a server, or None.

        That is a launch in progress, or a ready one accepted within the last `within_s` whose server the Hub still has.
        Raises HubError if the Hub cannot be asked.
        """
        return await self.existing.recent(request, caller, within_s=within_s)

    async def page(self, wanted: LaunchFilter, *, limit: int) -> Sequence[Launch]:
        """Return launches, newest first."""
        return await self.launch_log.launches(wanted, limit=limit)

    async def cancel(self, launch_id: str, *, by: Caller | None = None) -> bool:
        """Stop the spawn or the server, and delete everything that the launch created.

        Return True once the Hub has confirmed that, or if the launch had ended before. Return False while cancelling is
        in progress. Safe to repeat. Raises LaunchNotFound or LaunchGone.
        """
        launch = await self.get(launch_id)
        if not launch.is_in_progress and launch.status is not Status.READY:
            return True
        await self.leases.cancel(launch_id, by=by)
        return False
