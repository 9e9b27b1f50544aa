"""Looks at what the Hub has of an attempt."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

from hublaunch.launch.errors import HubUnavailable, LaunchError, NotStarting
from hublaunch.launch.model import Attempt, Event
from hublaunch.launch.pace import Pace
from hublaunch.launch.ports import Hub, Server
from hublaunch.launch.rules.causes import cause_of


async def failure_of(hub: Hub, attempt: Attempt, told: Sequence[Event]) -> LaunchError | None:
    """How the spawn of an attempt failed while nobody followed it; None if the Hub tells of none.

    The Hub forgets a failure when it is asked for the server again. So the failure is this attempt's if its start was
    sent.
    """
    try:
        async with aclosing(hub.progress(attempt.username, attempt.server_name)) as events:
            async for event in events:
                if event.failed:
                    return cause_of(event.message, [event.message for event in told])
    except (NotStarting, HubUnavailable):
        pass  # it knows of no spawn, or cannot say
    return None


async def standing_server(hub: Hub, username: str, server_name: str, *, pace: Pace) -> Server | None:
    """What the Hub has of this server, starting, ready or stopping, as soon as the Hub can say; None if it has none."""
    pauses = pace.ask_again_s.pauses()
    while True:
        try:
            user = await hub.get_user(username)
        except HubUnavailable:
            await asyncio.sleep(next(pauses))
        else:
            return user.servers.get(server_name) if user else None
