"""On whose account at the Hub a launch runs, and whether there is room for it."""

import re
from dataclasses import dataclass, replace

from hublaunch.launch.errors import (
    AccessDenied,
    InvalidRequest,
    NamedServerLimitReached,
    ServerAlreadyRunning,
    ServerNameTaken,
)
from hublaunch.launch.model import DEFAULT_SERVER, Attempt, Caller, LaunchRequest
from hublaunch.launch.ports import Hub
from hublaunch.launch.rules.names import unique_name_from_repo, unique_server_name
from hublaunch.launch.rules.path import opened_at

NAME_MAX = 512
"""Far above what any Hub takes, so that no name can fill a log."""
_SERVER_NAME = re.compile(r"(?=.{1,30}\Z)[a-z][a-z0-9]*(?:-[a-z0-9]+)*")


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerLimits:
    """What an existing user may have, by the settings of the same names."""

    allow_named_servers: bool
    named_server_limit_per_user: int


class Accounts:
    """Chooses the user and the server of a launch.

    A Hub user's launch runs on their own account, as does that of a caller who may name a user. Everybody else gets a
    temporary user, made for the launch. An account that was there before is never created and never deleted.
    """

    def __init__(self, hub: Hub, *, create_user: bool, limits: ServerLimits) -> None:
        self._hub = hub
        self._create_user = create_user
        self._limits = limits

    async def first_attempt(self, launch_id: str, request: LaunchRequest, caller: Caller) -> Attempt:
        """The names that the launch will have at the Hub, nothing made yet.

        AccessDenied, InvalidRequest, ServerAlreadyRunning, ServerNameTaken or NamedServerLimitReached if it cannot be
        had; a HubError if the Hub cannot say. Only an existing account is asked about.
        """
        username = self.existing_user(request, caller)
        if username is None:
            return temporary_user(launch_id, 1, request)
        server_name = self._server_name(request)
        await check_room(self._hub, username, server_name, self._limits, path=request.path)
        return Attempt(launch_id=launch_id, number=1, username=username, server_name=server_name, creates_user=False)

    def existing_user(self, request: LaunchRequest, caller: Caller) -> str | None:
        """On whose account the launch will be; None for a temporary user's. AccessDenied, InvalidRequest."""
        own = caller.key if caller.kind == "hub" else None
        if own in (".", ".."):  # JupyterHub before 5.5.3, and 6.0, have such users
            raise AccessDenied("No path of JupyterHub's API leads to a user of this name.")
        if request.username and request.username != own:
            if not caller.may_name_user:
                raise AccessDenied("This caller may not name the user whose account a launch is for.")
            check_name("username", request.username)
            return request.username
        if own is None and not self._create_user:
            raise InvalidRequest(
                "username",
                "is required: this service makes no temporary users",
                operator_advice="LAUNCHER_CREATE_USER is off.",
            )
        if own is None and request.server_name:
            raise InvalidRequest(
                "server_name", "may be given only for an existing user; a temporary one has one server"
            )
        return own

    def _server_name(self, request: LaunchRequest) -> str:
        if not self._limits.allow_named_servers:
            if request.server_name:
                raise InvalidRequest(
                    "server_name",
                    "must be empty: this service starts no named servers",
                    operator_advice="LAUNCHER_ALLOW_NAMED_SERVERS is off.",
                )
            return DEFAULT_SERVER
        if not request.server_name:
            return unique_server_name(request.repo_url or request.image)
        if not _SERVER_NAME.fullmatch(request.server_name):
            raise InvalidRequest(
                "server_name", "must be 1 to 30 of a-z, 0-9 and single hyphens, and begin with a letter"
            )
        return request.server_name


def temporary_user(launch_id: str, number: int, request: LaunchRequest) -> Attempt:
    """An attempt with a user of its own, whose name nobody had before."""
    return Attempt(
        launch_id=launch_id, number=number, username=unique_name_from_repo(request.repo_url or request.image)
    )


def following_attempt(attempt: Attempt, request: LaunchRequest) -> Attempt:
    """The next one: with a new temporary user, or once more on the same account."""
    number = attempt.number + 1
    if attempt.creates_user:
        return temporary_user(attempt.launch_id, number, request)
    return replace(attempt, number=number)


async def check_room(hub: Hub, username: str, server_name: str, limits: ServerLimits, *, path: str = "") -> None:
    """Whether an existing user can have this server: one default server, named ones up to the limit.

    Named servers count as the Hub counts, stopped ones too. ServerAlreadyRunning tells where `path` opens in the
    running server.
    """
    user = await hub.get_user(username, include_stopped_servers=bool(server_name))
    if user is None:
        raise InvalidRequest("username", "the Hub has no such user")
    server = user.servers.get(server_name)
    if server is not None and (server.ready or server.pending or not server_name):
        raise ServerAlreadyRunning(server.url, open_url=opened_at(server.url, path, token=None))
    if server is not None:
        raise ServerNameTaken
    limit, named = limits.named_server_limit_per_user, [name for name in user.servers if name]
    if server_name and limit and len(named) >= limit:
        raise NamedServerLimitReached(limit)


def check_name(field: str, name: str) -> None:
    """A name that may stand in a path of the Hub's API; InvalidRequest."""
    if name in ("", ".", "..") or "/" in name or not name.isprintable() or len(name) > NAME_MAX:
        raise InvalidRequest(field, "must be a name that JupyterHub takes")
