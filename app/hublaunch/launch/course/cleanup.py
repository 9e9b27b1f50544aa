"""What an attempt may have left at the Hub, and its deletion: servers first, then the user."""

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
    """What an attempt may have left at the Hub, as far as the Hub's answers tell.

    A thing counts as left from before its request until the Hub has refused the request or it is known that the request
    was not sent. So a call that was cancelled or not answered leaves a trace.
    """

    user: bool = False
    server: bool = False
    named_server: bool = False
    """The record of a stopped named server, which the Hub keeps when it refuses the start."""
    token: bool = False

    @classmethod
    def of_unknown_course(cls, *, minted: bool) -> "Traces":
        """Of an attempt whose answers from the Hub nobody here has seen; `minted`: whether it makes tokens."""
        return cls(user=True, server=True, named_server=True, token=minted)

    def leaving(self, what: _Thing) -> "_Leaving":
        """Around the request that creates this."""
        return _Leaving(self, what)


@dataclass(slots=True)
class _Leaving:
    """A context manager as a class: a generator costs a launch several times as many calls."""

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
    """Return once nothing that the attempt created is left at the Hub; safe to repeat.

    Without traces the Hub is asked nothing. Of a user who was there before, only a server that is the attempt's is
    stopped: started when the attempt's became ready, or before that with what the launch asks for. Tokens are revoked
    by the attempt's note.

    Waits as long as the Hub needs, also for a Hub that is down: the caller's timeout or cancellation ends it, and what
    was not deleted by then still stands. HubRefused if the Hub does not let this service delete it.
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


def was_asked_for(server: Server, request: LaunchRequest) -> bool:
    """Whether a server was started with what the launch asks for; False if the Hub does not tell."""
    options = server.user_options or {}
    return (options.get("image"), options.get("repo_url")) == (request.image, request.repo_url)


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
        return was_asked_for(server, request)
    return server.is_the_one_of(attempt)


async def _delete_user(username: str, hub: Hub) -> bool:
    if await hub.delete_user(username):
        return True
    # A temporary user may have started named servers of its own, and the Hub deletes no user who has an active one.
    user = await hub.get_user(username)
    for name in user.servers if user else ():
        await hub.stop_server(username, name, remove=True)
    return user is None


async def _revoke(attempt: Attempt, hub: Hub) -> bool:
    await hub.revoke_tokens(attempt.username, note=attempt.token_note)
    return True


async def _until(done: Callable[[], Awaitable[bool]], pace: Pace) -> None:
    for pause_s in pace.ask_again_s.pauses():
        if await _is_done(done):
            return
        await asyncio.sleep(pause_s)


async def _is_done(done: Callable[[], Awaitable[bool]]) -> bool:
    try:
        return await done()
    except (HubUnavailable, HubBusy):
        return False  # It is asked again: what is left behind is only known to be gone once the Hub says so.
