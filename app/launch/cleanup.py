"""Deleting at the Hub what an attempt created there: servers first, then the user."""

import asyncio
from collections.abc import Awaitable, Callable

from app.launch.errors import HubUnavailable
from app.launch.model import Attempt
from app.launch.ports import Hub

_PAUSE_S = (0.1, 2.0)


async def clean_up(attempt: Attempt, hub: Hub, *, minted: bool) -> None:
    """Return once nothing that the attempt created is left at the Hub; safe to repeat.

    `minted`: whether it may have made a token. Only then are an existing user's tokens looked through, for which a role
    that makes none has no scope.

    Waits as long as the Hub needs, also for a Hub that is down: the caller's timeout or cancellation ends it, and
    what was not deleted by then still stands. HubRefused if the Hub will not let this service delete it. Only what
    the attempt names is touched; and of a user who was there before, no server that was started after the attempt's
    was ready.
    """
    if attempt.server_started_at is None:
        await _until(lambda: hub.stop_server(attempt.username, attempt.server_name, remove=True))
    else:
        await _until(lambda: _stop_the_same(attempt, hub))
    if attempt.creates_user:
        await _until(lambda: _delete_user(attempt.username, hub))
    elif minted:
        await _until(lambda: _revoke(attempt, hub))


async def _stop_the_same(attempt: Attempt, hub: Hub) -> bool:
    user = await hub.get_user(attempt.username)
    server = user.servers.get(attempt.server_name) if user else None
    if server is not None and server.started_at not in (None, attempt.server_started_at):
        return True  # its user's own
    return await hub.stop_server(attempt.username, attempt.server_name, remove=True)


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
    except HubUnavailable:
        return False  # It is asked again: what is left behind is only known to be gone once the Hub says so.
