"""Inspection: the state of an attempt at the Hub."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

from hublaunch.launch.errors import HubUnavailable, LaunchError, NotStarting
from hublaunch.launch.model import Attempt, Event
from hublaunch.launch.pace import Pace
from hublaunch.launch.ports import Hub, Server
from hublaunch.launch.rules.causes import cause_of


async def find_server(hub: Hub, attempt: Attempt, *, pace: Pace) -> Server | None:
    """Return the attempt's server, which may be starting, ready or stopping, or None if the Hub has none.

    Waits for a Hub that is down, without a limit.
    """
    pauses = pace.ask_again_s.pauses()
    while True:
        try:
            user = await hub.get_user(attempt.username)
        except HubUnavailable:
            await asyncio.sleep(next(pauses))
        else:
            return user.servers.get(attempt.server_name) if user else None


async def find_failure(hub: Hub, attempt: Attempt, past_events: Sequence[Event]) -> LaunchError | None:
    """Return how the spawn failed while nobody followed it, or None if the Hub reports no failure.

    The Hub forgets a failure when it is asked for the server again. So a failure is this attempt's if the attempt has
    asked for its server.
    """
    try:
        async with aclosing(hub.progress(attempt.username, attempt.server_name)) as events:
            async for event in events:
                if event.failed:
                    return cause_of(event.message, past_events)
    except (NotStarting, HubUnavailable):
        pass  # The Hub knows of no spawn, or cannot say.
    return None
