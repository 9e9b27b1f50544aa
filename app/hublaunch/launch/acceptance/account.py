"""Accounts: the Hub account that a launch runs on, and whether the account can have the server."""

import re
from dataclasses import dataclass, replace

from hublaunch.launch.caller import Caller
from hublaunch.launch.errors import (
    AccessDenied,
    InvalidRequest,
    NamedServerLimitReached,
    ServerAlreadyRunning,
    ServerNameTaken,
)
from hublaunch.launch.model import DEFAULT_SERVER, Attempt, LaunchRequest
from hublaunch.launch.ports import Hub
from hublaunch.launch.rules.content import path_elsewhere
from hublaunch.launch.rules.names import unique_name_from_repo, unique_server_name
from hublaunch.launch.rules.path import opened_at

NAME_MAX = 512
"""Longer than any Hub accepts. Keeps long names out of the log."""
_SERVER_NAME = re.compile(r"(?=.{1,30}\Z)[a-z][a-z0-9]*(?:-[a-z0-9]+)*")


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerLimits:
    """The servers that an existing user may have; see the settings of the same names."""

    allow_named_servers: bool
    named_server_limit_per_user: int


class Accounts:
    """Chooses the user and the server name of a launch.

    A Hub user's launch runs on their own account. A caller who may name a user chooses the account. Every other launch
    gets a temporary user of its own. hublaunch never creates or deletes an existing account.
    """

    def __init__(self, hub: Hub, *, create_user: bool, limits: ServerLimits) -> None:
        self._hub = hub
        self._create_user = create_user
        self._limits = limits

    async def first_attempt(self, launch_id: str, request: LaunchRequest, caller: Caller) -> Attempt:
        """Return the user and server name for the launch. Nothing is created yet.

        Raise AccessDenied, InvalidRequest, ServerAlreadyRunning, ServerNameTaken or NamedServerLimitReached if the
        account cannot have this server, or a HubError. The Hub is only asked about an existing account.
        """
        username = self.existing_user(request, caller)
        if username is None:
            return temporary_user(launch_id, 1, request)
        server_name = self._server_name(request)
        await check_room(self._hub, username, server_name, self._limits, path=path_elsewhere(request))
        return Attempt(launch_id=launch_id, number=1, username=username, server_name=server_name, creates_user=False)

    def existing_user(self, request: LaunchRequest, caller: Caller) -> str | None:
        """Return the existing account, or None for a temporary user. Raises AccessDenied or InvalidRequest."""
        own = caller.key if caller.kind == "hub" else None
        if own in (".", ".."):  # JupyterHub before 5.5.3, and 6.0, have such users
            raise AccessDenied("JupyterHub's API cannot address a user with this name.")
        if request.username and request.username != own:
            if not caller.may_name_user:
                raise AccessDenied("You may not launch on another user's account.")
            check_name("username", request.username)
            return request.username
        if own is None and not self._create_user:
            raise InvalidRequest(
                "username",
                "is required, because this service creates no temporary users",
                operator_advice="LAUNCHER_CREATE_USER is off.",
            )
        if own is None and request.server_name:
            raise InvalidRequest("server_name", "is only for existing users; a temporary user has one server")
        return own

    def _server_name(self, request: LaunchRequest) -> str:
        if not self._limits.allow_named_servers:
            if request.server_name:
                raise InvalidRequest(
                    "server_name",
                    "must be empty, because this service starts no named servers",
                    operator_advice="LAUNCHER_ALLOW_NAMED_SERVERS is off.",
                )
            return DEFAULT_SERVER
        if not request.server_name:
            return unique_server_name(request.repo_url or request.image)
        if not _SERVER_NAME.fullmatch(request.server_name):
            raise InvalidRequest(
                "server_name", "must be 1 to 30 characters of a-z, 0-9 and single hyphens, and begin with a letter"
            )
        return request.server_name


def temporary_user(launch_id: str, number: int, request: LaunchRequest) -> Attempt:
    """Return an attempt with a new temporary user, whose name is random."""
    return Attempt(
        launch_id=launch_id, number=number, username=unique_name_from_repo(request.repo_url or request.image)
    )


def following_attempt(attempt: Attempt, request: LaunchRequest) -> Attempt:
    """Return the next attempt: with another temporary user, or on the same existing account."""
    number = attempt.number + 1
    if attempt.creates_user:
        return temporary_user(attempt.launch_id, number, request)
    return replace(attempt, number=number)


async def check_room(hub: Hub, username: str, server_name: str, limits: ServerLimits, *, path: str = "") -> None:
    """Check that an existing user can have this server: one default server, and named ones up to the limit.

    Raise InvalidRequest if the Hub has no such user, ServerAlreadyRunning (its `open_url` opens `path`),
    ServerNameTaken, NamedServerLimitReached, or a HubError. As at the Hub, stopped named servers count too.
    """
    user = await hub.get_user(username, include_stopped_servers=bool(server_name))
    if user is None:
        raise InvalidRequest("username", "JupyterHub has no such user")
    server = user.servers.get(server_name)
    if server is not None and (server.ready or server.pending or not server_name):
        raise ServerAlreadyRunning(server.url, open_url=opened_at(server.url, path, token=None))
    if server is not None:
        raise ServerNameTaken
    limit, named = limits.named_server_limit_per_user, [name for name in user.servers if name]
    if server_name and limit and len(named) >= limit:
        raise NamedServerLimitReached(limit)


def check_name(field: str, name: str) -> None:
    """Raise InvalidRequest if the name cannot be part of a path of the Hub's API."""
    if name in ("", ".", "..") or "/" in name or not name.isprintable() or len(name) > NAME_MAX:
        raise InvalidRequest(field, "must be a name that JupyterHub accepts")
