"""`hublaunch launch` in a real terminal: the bar, Ctrl-C, a narrow window."""

from pathlib import Path

import pytest

from hublaunch.settings import Settings
from tests.cli.commands import COMMAND, CommandLine
from tests.cli.terminal import terminal
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.served import IMAGE, REPO, serve

LAUNCH = (*COMMAND, "launch", IMAGE, "--repo", REPO, "--path", "lab/tree/x.ipynb")
BAR = "━"


async def test_a_bar_shows_the_progress_and_disappears_at_the_end(shell: CommandLine, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(messages=["Pulling"], never=True))

    async with terminal(LAUNCH, shell.variables) as window:
        await window.until("Pulling", "starting", BAR)
        (user,) = hub.users
        hub.report(user, "Half way", progress=50)
        during = await window.until("Half way", "50%")
        hub.release(user)
        after = await window.until("status 0")

    assert during.count("%") == 1, "the bar is one line, below what happened"
    assert f"/user/{user}/lab/tree/x.ipynb?token=" in after
    assert BAR not in after
    assert "%" not in after


async def test_a_narrowed_window_keeps_a_single_bar(shell: CommandLine, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(messages=["Pulling a rather large image " * 4], never=True))

    async with terminal(LAUNCH, shell.variables, columns=100) as window:
        await window.until("Pulling", BAR)
        await window.resize(40)
        hub.report(next(iter(hub.users)), "Half way", progress=50)
        await window.until("Half way", "50%")
        screen = await window.screen()
        hub.release(next(iter(hub.users)))
        await window.until("status 0")

    assert [line for line in screen if BAR in line] == screen[-1:]
    assert max(len(line) for line in screen) <= 40


@pytest.mark.parametrize(
    ("keys", "words", "servers"),
    [
        (("y", "Enter"), "Cancelled.", 0),
        (("Enter",), "continues. To watch it: hublaunch watch", 1),
        (("C-c",), "continues. To watch it: hublaunch watch", 1),
    ],
)
async def test_ctrl_c_asks_whether_to_cancel_the_launch(
    shell: CommandLine, hub: FakeHub, keys: tuple[str, ...], words: str, servers: int
) -> None:
    hub.spawn_plan(None, SpawnPlan(messages=["Pulling"], never=True))

    async with terminal(LAUNCH, shell.variables) as window:
        await window.until("Pulling", BAR)
        await window.type("C-c")
        await window.until("Cancel the launch? [y/N]")
        await window.type(*keys)
        after = await window.until("status 130")

    assert words in after
    assert BAR not in after.partition(words)[2]
    assert "Traceback" not in after
    assert len(hub.active_servers) == servers
    for user in hub.users:
        hub.release(user)


async def test_the_bar_shows_the_position_in_the_queue(settings: Settings, hub: FakeHub, tmp_path: Path) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    async with serve(settings.model_copy(update={"max_concurrent_spawns": 1})) as service:
        first = await service.launch()
        await hub.until(lambda: hub.active_servers)
        shell = CommandLine(str(service.http.base_url), tmp_path / "state")

        async with terminal(LAUNCH, shell.variables) as window:
            await window.until("1 of 1 in the queue", BAR)
            await window.type("C-c")
            await window.until("Cancel the launch? [y/N]")
            await window.type("y", "Enter")
            await window.until("status 130")
        await service.cancel(first)
