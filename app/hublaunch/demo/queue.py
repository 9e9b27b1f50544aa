"""`hublaunch demo --queue N`: launches of the demo's own, so that every other launch waits in the queue."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager

from hublaunch.client import LaunchClient, LaunchClientError
from hublaunch.demo.images import SIMULATED_IMAGES

log = logging.getLogger(__name__)

_SLOW = next(simulated.image for simulated in SIMULATED_IMAGES if simulated.name == "slow")
_PATIENCE_S = 5.0


@asynccontextmanager
async def launches_ahead(url: str, *, count: int) -> AsyncGenerator[None]:
    """Keep this many launches of the slow image in progress at the service `url`, and cancel them at the end.

    As soon as one of them is ready, its server is stopped, and another launch joins the end of the queue. The context
    is entered once all have been accepted.
    """
    ending = asyncio.Event()
    async with LaunchClient(url, patience_s=_PATIENCE_S) as client:
        accepted = [asyncio.Event() for _ in range(count)]
        keepers = [
            asyncio.create_task(_keep_one(client, f"https://example.org/queue/{n}", each, ending))
            for n, each in enumerate(accepted)
        ]
        try:
            for each in accepted:
                await each.wait()
            yield
        finally:
            ending.set()  # a keeper that is cancelled while it launches would leave that launch behind
            if keepers:
                await asyncio.wait(keepers)


async def _keep_one(client: LaunchClient, repo_url: str, accepted: asyncio.Event, ending: asyncio.Event) -> None:
    """Launch again and again until `ending`. Sets `accepted` after the first launch, or if it fails."""
    try:
        while not ending.is_set():
            launch = await client.launch(_SLOW, repo_url=repo_url)
            accepted.set()
            await _over_or_ending(client, launch.id, ending)
            await client.cancel(launch.id)
    except LaunchClientError as error:
        log.warning("The demo's queue is shorter from now on: %s", error)
    finally:
        accepted.set()


async def _over_or_ending(client: LaunchClient, launch_id: str, ending: asyncio.Event) -> None:
    over = asyncio.create_task(_over(client, launch_id))
    ended = asyncio.create_task(ending.wait())
    await asyncio.wait({over, ended}, return_when=asyncio.FIRST_COMPLETED)
    ended.cancel()
    if not over.cancel():
        over.result()  # raises the error of a launch that cannot be followed


async def _over(client: LaunchClient, launch_id: str) -> None:
    async with aclosing(client.follow(launch_id)) as events:
        async for _ in events:
            pass
