"""The command line says how long a start usually takes."""

import asyncio

import pytest

from hublaunch.cli.wording import usual_text
from tests.cli.commands import COMMAND, CommandLine
from tests.cli.terminal import terminal
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.served import IMAGE, Service
from tests.support.started import ready_before

STARTING = {"progress": 5, "message": "Creating the pod"}


async def lines_until(process: asyncio.subprocess.Process, words: str) -> list[str]:
    """Return the lines up to the first that ends with these words."""
    assert process.stdout
    lines: list[str] = []
    async with asyncio.timeout(20):
        while not lines or not lines[-1].endswith(words):
            lines.append((await process.stdout.readline()).decode().rstrip())
    return lines


async def test_in_a_pipe_a_line_says_how_long_a_start_and_then_a_pull_usually_take(
    shell: CommandLine, service: Service, hub: FakeHub
) -> None:
    await ready_before(service, *[40] * 6)
    await ready_before(service, *[360] * 5, pulled=True)
    hub.spawn_plan(None, SpawnPlan(messages=[STARTING], never=True))
    process = await shell.begin("launch", IMAGE)

    starting = await lines_until(process, "Usually 40 s")
    user = next(user for user in hub.users if hub.is_spawning(user))
    hub.report(user, f'Pulling image "{IMAGE}"', progress=10)
    pulling = await lines_until(process, "Usually 6 min")
    hub.release(user)
    out, _ = await process.communicate()

    assert starting[-1].split()[1] == "starting"
    assert pulling[-1].split()[1:3] == ["pulling", "10%"]
    assert process.returncode == 0
    assert b"sually" not in out


async def test_a_terminal_says_that_a_start_takes_longer_than_usual(
    shell: CommandLine, service: Service, hub: FakeHub
) -> None:
    await ready_before(service, *[2] * 5)
    hub.spawn_plan(None, SpawnPlan(messages=[STARTING], never=True))

    async with terminal((*COMMAND, "launch", IMAGE), shell.variables) as window:
        await window.until("Longer than usual; usually 2 s")
        hub.release(next(user for user in hub.users if hub.is_spawning(user)))
        await window.until("status 0")


async def test_with_json_only_what_the_service_sends_is_printed(
    shell: CommandLine, service: Service, hub: FakeHub
) -> None:
    await ready_before(service, *[40] * 5)
    hub.spawn_plan(None, SpawnPlan(messages=[STARTING], seconds=0.5))

    done = await shell.run("launch", IMAGE, "--json")

    assert all("seq" in event for event in done.objects())


@pytest.mark.parametrize(
    ("seconds", "is_long", "words"),
    [
        (0.4, False, "Usually 1 s"),
        (7.4, False, "Usually 7 s"),
        (42, True, "Longer than usual; usually 40 s"),
        (360, False, "Usually 6 min"),
    ],
)
def test_a_usual_time_is_rounded_as_a_person_would_say_it(seconds: float, is_long: bool, words: str) -> None:
    assert usual_text(seconds, is_long=is_long) == words
