"""The command line says that a launch is stalled."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from hublaunch.settings import Settings
from tests.cli.commands import CommandLine
from tests.cli.test_usual import lines_until
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.served import IMAGE, Service, serve
from tests.support.stalled import SCALE_UP, STALLED, WATCHFUL, silent_since


@pytest.fixture
async def service(settings: Settings) -> AsyncGenerator[Service]:
    async with serve(settings, pace=WATCHFUL) as service:
        yield service


async def test_a_stalled_launch_gets_one_line_and_a_mark_in_the_list(
    shell: CommandLine, service: Service, hub: FakeHub
) -> None:
    hub.spawn_plan(None, SpawnPlan(messages=[SCALE_UP], never=True))
    process = await shell.begin("launch", IMAGE)
    await lines_until(process, SCALE_UP["message"])
    launch_id = (await shell.run("list", "--json")).objects()[0]["id"]
    before = (await shell.run("list")).out.splitlines()
    await silent_since(service, launch_id)

    *_, line = await lines_until(process, STALLED)
    during = (await shell.run("list")).out.splitlines()
    hub.release(next(iter(hub.users)))
    async with asyncio.timeout(20):
        out, _ = await process.communicate()

    assert line.split()[1:3] == ["scheduling", "20%"]
    assert STALLED.encode() not in out
    assert ("(stalled)" in before[1], "launching (stalled)" in during[1]) == (False, True)
    assert process.returncode == 0
