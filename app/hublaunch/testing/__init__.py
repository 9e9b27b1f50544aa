"""A fake hublaunch service for the tests of programs that use LaunchClient. It needs httpx only.

fake = FakeHublaunch(play=lambda launch: launch.fail("spawn_failed"))
async with LaunchClient(fake.url, transport=fake.transport) as client:
    launch = await client.launch("quay.io/jupyter/base-notebook")
    events = [event async for event in client.follow(launch.id)]
"""

from hublaunch.testing.launch import FakeLaunch
from hublaunch.testing.service import FakeHublaunch

__all__ = ["FakeHublaunch", "FakeLaunch"]
