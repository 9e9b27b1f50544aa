"""Deleting at the Hub what an attempt created there: servers first, then the user."""

import asyncio
from collections.abc import Awaitable, Callable

from app.launch.errors import HubBusy, HubUnavailable
from app.launch.model import Attempt, LaunchRequest
from app.launch.ports import Hub, Server

_PAUSE_S = (0.1, 2.0)


async def clean_up(attempt: Attempt, request: LaunchRequest, hub: Hub, *, minted: bool) -> None:
    """Return once nothing that the attempt created is left at the Hub; safe to repeat.

    `minted`: whether it may have made a token. Only then are an existing user's tokens looked through, for which a role
    that makes none has no scope.

    Waits as long as the Hub needs, also for a Hub that is down: the caller's timeout or cancellation ends it, and
    what was not deleted by then still stands. HubRefused if the Hub will not let this service delete it. Only what
    the attempt names is touched; and of a user who was there before only a server that is the attempt's: started when
    that became ready, or before that with what the launch asks for.
    """
    if attempt.creates_user:
        await _until(lambda: hub.stop_server(attempt.username, attempt.server_name))
        await _until(lambda: _delete_user(attempt.username, hub))
        return
    await _until(lambda: _stop_own(attempt, request, hub))
    if minted:
        await _until(lambda: _revoke(attempt, hub))


def was_asked_for(server: Server, request: LaunchRequest) -> bool:
    """Whether a server was started with what the launch asks for, as far as the Hub tells."""
    options = server.user_options
    return options is None or (options.get("image"), options.get("repo_url")) == (request.image, request.repo_url)


async def _stop_own(attempt: Attempt, request: LaunchRequest, hub: Hub) -> bool:
    user = await hub.get_user(attempt.username)
    server = user.servers.get(attempt.server_name) if user else None
    if server is not None and not _is_own(server, attempt, request):
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


async def _until(done: Callable[[], Awaitable[bool]]) -> None:
    pause, most = _PAUSE_S
    while not await _is_done(done):
        await asyncio.sleep(pause)
        pause = min(2 * pause, most)


async def _is_done(done: Callable[[], Awaitable[bool]]) -> bool:
    try:
        return await done()
    except (HubUnavailable, HubBusy):
        return False  # It is asked again: what is left behind is only known to be gone once the Hub says so.
