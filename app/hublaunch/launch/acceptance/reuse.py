"""ExistingLaunches: the launches of a caller that can already serve the caller's request."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hublaunch.launch.caller import Caller
from hublaunch.launch.course.reaper import Reaper
from hublaunch.launch.errors import AlreadyRunning
from hublaunch.launch.model import Attempt, Launch, LaunchRequest, Status
from hublaunch.launch.ports import LaunchFilter, LaunchLog, Unless
from hublaunch.launch.rules.quota import Scope
from hublaunch.launch.rules.quota_rules import counted_as

_ACTIVE_MAX = 200
"""How many active launches of one caller, image and repository are checked, newest first."""
_RECENT_MAX = 20
"""How many launches of one caller and identical request are checked, newest first."""


class ExistingLaunches:
    """Finds launches that can serve a new request, and marks those that a new launch replaces."""

    def __init__(self, *, launch_log: LaunchLog, reaper: Reaper) -> None:
        self._log = launch_log
        self._reaper = reaper

    async def check(self, request: LaunchRequest, caller: Caller, *, username: str | None) -> Unless | None:
        """Raise AlreadyRunning if the caller has a launch like this one, in progress or ready.

        It has the same image, repository and ref, and the same environment and size if the request names them.

        `username` is the account that the new launch will be on; None for a temporary user. A ready launch counts only
        if the Hub still has its server. Raises HubError if the Hub cannot be asked.

        Return the condition that the store must check again when it accepts the launch, as others may be accepted
        meanwhile. Return None for anonymous callers and holders of invitations: many people may share an address or an
        invitation, so their launches are never reused.
        """
        if caller.is_shared:
            return None
        names = counted_as(caller, request)
        wanted = LaunchFilter(
            caller=caller,
            is_active=True,
            username=username,
            image_name=names[Scope.IMAGE],
            repo_name=names.get(Scope.REPOSITORY, ""),
        )

        def is_same(launch: Launch) -> bool:
            return _is_of(launch, request, username)

        found = [launch for launch in await self._log.launches(wanted, limit=_ACTIVE_MAX) if is_same(launch)]
        for launch in sorted(found, key=lambda launch: launch.is_in_progress):  # ready ones first, newest of them first
            if await self._is_usable(launch):
                raise AlreadyRunning(launch.id)
        passed_over = {launch.id for launch in found}
        return Unless(
            among=wanted, most=_ACTIVE_MAX, is_same=lambda launch: launch.id not in passed_over and is_same(launch)
        )

    async def recent(self, request: LaunchRequest, caller: Caller, *, within_s: float) -> Launch | None:
        """Return the caller's newest launch of an identical request that still leads to a server, or None.

        That is a launch in progress, or a ready one accepted within the last `within_s` whose server the Hub still has.
        Raises HubError if the Hub cannot be asked.
        """
        since = datetime.now(UTC) - timedelta(seconds=within_s)
        wanted = LaunchFilter(caller=caller, image=request.image, repo_url=request.repo_url)
        for launch in await self._log.launches(wanted, limit=_RECENT_MAX):
            if launch.request != request or launch.cancel_requested_at is not None:
                continue
            is_fresh = launch.status is Status.READY and launch.created_at > since
            if launch.is_in_progress or (is_fresh and await self._reaper.has_server(launch)):
                return launch
        return None

    async def ready_on(self, username: str, caller: Caller) -> Sequence[Launch]:
        """Return the caller's ready launches on this Hub user's account."""
        return await self._log.launches(LaunchFilter(caller=caller, status=Status.READY, username=username), limit=None)

    async def mark_replaced(self, ready: Sequence[Launch], first: Attempt) -> None:
        """Mark as stopped each `ready` launch whose server name is free at the Hub and now taken by `first`."""
        for launch in ready:
            if (launch.attempt.username, launch.attempt.server_name) == (first.username, first.server_name):
                await self._reaper.mark_gone(launch)

    async def _is_usable(self, launch: Launch) -> bool:
        if launch.cancel_requested_at is not None:
            return False
        if launch.is_in_progress:
            return True
        token_expires_at = launch.last_event.token_expires_at
        if token_expires_at is not None and token_expires_at <= datetime.now(UTC):
            return False
        server = await self._reaper.find_server(launch)
        return server is not None and server.ready


def _is_of(launch: Launch, request: LaunchRequest, username: str | None) -> bool:
    """Return whether the launch has the request's image, repository, ref, size, account and, if named, server."""
    attempt = launch.attempt
    return (
        (launch.request.environment, launch.request.size) == (request.environment, request.size)
        and launch.request.image_reference == request.image_reference
        and launch.request.repo_name == request.repo_name
        and launch.request.ref == request.ref
        and request.server_name in ("", attempt.server_name)
        and (attempt.creates_user if username is None else attempt.username == username)
    )
