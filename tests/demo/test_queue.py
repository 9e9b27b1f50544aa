"""`hublaunch demo --queue N`."""

import asyncio
from functools import partial
from pathlib import Path

from hublaunch.client import LaunchClient, Position
from hublaunch.demo import run
from hublaunch.demo.process import HubProcess, free_port
from hublaunch.demo.queue import launches_ahead
from hublaunch.demo.settings import demo_settings
from tests.fakes.hub import FakeHub, SpawnPlan

IMAGE = "quay.io/jupyter/minimal-notebook:latest"


def is_gone(hub: FakeHub, user: str) -> bool:
    return user not in hub.users


async def position_of(client: LaunchClient) -> int:
    """Launch, cancel the launch, and return its position in the queue."""
    launch = await client.launch(IMAGE)
    async for update in client.updates(launch.id):
        if isinstance(update, Position):
            await client.cancel(launch.id)
            return update.position
    raise AssertionError("The launch did not wait.")


async def test_each_launch_waits_behind_launches_that_come_back_and_are_cancelled_at_the_end(
    hub: FakeHub, tmp_path: Path
) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    process = HubProcess(state=tmp_path, proxy_command=["unused"])
    process.public_url, process.token, process.local_url = hub.url, hub.api_token, hub.url
    settings, port = demo_settings(process, origins=(), spawns=1, warm=0), free_port()
    url = f"http://127.0.0.1:{port}{settings.prefix}/"

    async with run._served(settings, port), LaunchClient(url) as client, asyncio.timeout(30):
        async with launches_ahead(url, count=3):
            await hub.until(lambda: hub.active_servers)
            position = await position_of(client)
            for _ in range(4):  # the fourth is the first one's successor
                await hub.until(lambda: hub.active_servers)
                [(user, _)] = hub.active_servers
                hub.release(user)
                await hub.until(partial(is_gone, hub, user))
        await hub.until(lambda: all("queue" not in user for user in hub.users))

    assert position == 3
