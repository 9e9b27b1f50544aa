"""The launch that a caller already has of what they ask for."""

from datetime import UTC, datetime

from hublaunch.launch.course.reaper import Reaper
from hublaunch.launch.errors import AlreadyRunning
from hublaunch.launch.model import Caller, Launch, LaunchRequest
from hublaunch.launch.ports import LaunchStore, Only, Wanted
from hublaunch.launch.rules.image import ImageReference
from hublaunch.launch.rules.quotas import Scope, counted_as
from hublaunch.launch.rules.repo import repo_name

_MOST = 200
"""Of a caller who has that many active launches of one image and repository, older ones are not looked at."""


class Running:
    """Finds launches of the same image and repository: ready ones that the Hub still has, and those under way.

    Only a caller who is known has any. An address may be that of many people, so nothing is found by it.
    """

    def __init__(self, *, store: LaunchStore, reaper: Reaper) -> None:
        self._store = store
        self._reaper = reaper

    async def check(self, request: LaunchRequest, caller: Caller, *, username: str | None) -> Only | None:
        """AlreadyRunning if there is one to be used, on the account of `username`; None stands for temporary ones.

        Otherwise what the acceptance has to check once more, as more may come meanwhile; None for who is not known. A
        HubError if the Hub cannot say.
        """
        if caller.kind == "anonymous":
            return None
        names = counted_as(caller, request)
        wanted = Wanted(
            caller=caller,
            is_active=True,
            username=username,
            image_name=names[Scope.IMAGE],
            repo_name=names.get(Scope.REPOSITORY, ""),
        )

        def is_same(launch: Launch) -> bool:
            return _is_of(launch, request, username)

        found = [launch for launch in await self._store.launches(wanted, limit=_MOST) if is_same(launch)]
        for launch in sorted(found, key=lambda launch: launch.is_under_way):  # ready ones first, of them the newest
            if await self._is_of_use(launch):
                raise AlreadyRunning(launch.id)
        passed_over = {launch.id for launch in found}
        return Only(wanted=wanted, most=_MOST, counts=lambda launch: launch.id not in passed_over and is_same(launch))

    async def _is_of_use(self, launch: Launch) -> bool:
        if launch.cancel_requested_at is not None:
            return False
        if launch.is_under_way:
            return True
        token_expires_at = launch.last_event.token_expires_at
        if token_expires_at is not None and token_expires_at <= datetime.now(UTC):
            return False
        server = await self._reaper.server(launch)
        return server is not None and server.ready


def _is_of(launch: Launch, request: LaunchRequest, username: str | None) -> bool:
    """Whether it is of this request's image and repository, and on the account and of the server that it names."""
    attempt = launch.attempt
    return (
        ImageReference.parse(launch.request.image) == ImageReference.parse(request.image)
        and repo_name(launch.request.repo_url) == repo_name(request.repo_url)
        and request.server_name in ("", attempt.server_name)
        and (attempt.creates_user if username is None else attempt.username == username)
    )
