"""A warm server at the Hub: whether a launch that has claimed it can enter it."""

import asyncio

from hublaunch.launch.course.inspection import find_server
from hublaunch.launch.errors import ServerNotFound, SpawnCancelled
from hublaunch.launch.model import Attempt
from hublaunch.launch.pace import Pace
from hublaunch.launch.ports import Hub, Reach


async def find_warm(hub: Hub, attempt: Attempt, *, pace: Pace) -> str:
    """Return the URL of the attempt's server once the server itself has answered.

    Raises SpawnCancelled if the Hub does not have it ready, or ServerNotFound if it does not answer within
    `Pace.claim_answers_s`. If nothing shows whether it answers, the Hub's word counts.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + pace.claim_answers_s
    for pause_s in pace.ask_again_s.pauses():
        server = await find_server(hub, attempt, pace=pace)
        if server is None or not server.ready or server.pending is not None:
            raise SpawnCancelled
        reached = await hub.reach_server(attempt.username, attempt.server_name, server.url)
        if reached.reach in (Reach.ANSWERS, Reach.UNKNOWN):
            return server.url
        if loop.time() + pause_s > until:
            raise ServerNotFound(reached.status)
        await asyncio.sleep(pause_s)
    raise AssertionError("the pauses have no end")
