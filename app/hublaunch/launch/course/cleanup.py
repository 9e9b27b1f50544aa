"""Clean-up: delete what an attempt may have left at the Hub, its server first and then the user."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from hublaunch.launch.errors import HubBusy, HubError, HubUnavailable, SpawnRefused
from hublaunch.launch.model import Attempt, LaunchRequest
from hublaunch.launch.pace import Pace
from hublaunch.launch.ports import Hub, Server

_Thing = Literal["user", "server", "token"]


@dataclass(slots=True)
class Traces:
    """Traces of everything that an attempt may have left at the Hub.

    A trace is set before the request that creates the thing. It is removed only if the Hub refuses the request, or if
    the request was certainly not sent. So a call that was cancelled or got no answer leaves a trace.
    """

    user: bool = False
    server: bool = False
    named_server: bool = False
    """The record of a stopped named server, which the Hub keeps when it refuses the start."""
    token: bool = False

    @classmethod
    def unknown(cls, *, mints_token: bool) -> "Traces":
        """Return every trace that another process's attempt may have left. `mints_token`: whether it makes a token."""
        return cls(user=True, server=True, named_server=True, token=mints_token)

    def leaving(self, what: _Thing) -> "_Leaving":
        """Return a context manager for the request that creates this thing."""
        return _Leaving(self, what)


@dataclass(slots=True)
class _Leaving:
    """A context manager written as a class, because a generator would cost each launch several times as many calls."""

    traces: Traces
    what: _Thing
    before: bool = False

    def __enter__(self) -> None:
        self.before = getattr(self.traces, self.what)
        setattr(self.traces, self.what, True)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, HubError):
            return
        setattr(self.traces, self.what, self.before or error.may_have_acted)
        if self.what == "server" and isinstance(error, (SpawnRefused, HubBusy)):
            self.traces.named_server = True


async def clean_up(attempt: Attempt, request: LaunchRequest, hub: Hub, *, traces: Traces, pace: Pace = Pace()) -> None:
    """Return once nothing that the attempt created is left at the Hub. Safe to repeat.

    Without traces the Hub is not asked at all. A temporary user is deleted with all servers. For a user who existed
    before, it only stops the attempt's own server: the server that the attempt made ready or, before it was ready, a
    server with the launch's image and repository. Tokens with the attempt's note are revoked.

    Waits as long as the Hub needs, even while the Hub is down. Limit it with a timeout, or cancel it: anything not
    deleted by then stays. Raises HubRefused if the Hub does not let this service delete something.
    """
    if attempt.creates_user:
        if traces.user:
            await _until(lambda: hub.stop_server(attempt.username, attempt.server_name), pace)
            await _until(lambda: _delete_user(attempt.username, hub), pace)
        return
    if traces.server or (traces.named_server and attempt.server_name):
        await _until(lambda: _stop_own(attempt, request, hub, traces), pace)
    if traces.token:
        await _until(lambda: _revoke(attempt, hub), pace)


def matches_request(server: Server, request: LaunchRequest) -> bool:
    """Return whether a server was started with the request's image, repository, ref and size.

    False if the Hub hides how the server was started.
    """
    options = server.user_options or {}
    named = {"image": request.image, "repo_url": request.repo_url, "ref": request.ref or None}
    wanted = {**request.size_options, **named}
    return all(options.get(name) == value for name, value in wanted.items())


async def _stop_own(attempt: Attempt, request: LaunchRequest, hub: Hub, traces: Traces) -> bool:
    user = await hub.get_user(attempt.username, include_stopped_servers=bool(attempt.server_name))
    server = user.servers.get(attempt.server_name) if user else None
    if server is None:
        return True
    if server.ready or server.pending:
        if not (traces.server and _is_own(server, attempt, request)):
            return True
    elif not attempt.server_name:
        return True
    return await hub.stop_server(attempt.username, attempt.server_name, remove=True)


def _is_own(server: Server, attempt: Attempt, request: LaunchRequest) -> bool:
    if attempt.server_started_at is None:
        return matches_request(server, request)
    return server.belongs_to(attempt)


async def _delete_user(username: str, hub: Hub) -> bool:
    if await hub.delete_user(username):
        return True
    # The Hub deletes no user with an active server, and the visitor may have started named servers.
    user = await hub.get_user(username)
    for name in user.servers if user else ():
        await hub.stop_server(username, name, remove=True)
    return user is None


async def _revoke(attempt: Attempt, hub: Hub) -> bool:
    await hub.revoke_tokens(attempt.username, note=attempt.token_note)
    return True


async def _until(is_done: Callable[[], Awaitable[bool]], pace: Pace) -> None:
    """Repeat a deletion until the Hub confirms it."""
    for pause_s in pace.ask_again_s.pauses():
        try:
            if await is_done():
                return
        except (HubUnavailable, HubBusy):
            pass  # Only the Hub's word shows that the thing is gone, so ask again.
        await asyncio.sleep(pause_s)
