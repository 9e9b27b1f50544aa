"""The command line says how long a start usually takes."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from hublaunch.cli.display import JsonLines
from hublaunch.cli.usual import UsualTime
from hublaunch.cli.wording import usual_text
from hublaunch.client import LaunchEvent
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


class Notes(JsonLines):
    """A display that keeps its notes."""

    def __init__(self) -> None:
        self.kept: list[str] = []

    def note(self, text: str) -> None:
        self.kept.append(text)


def stored(phase: str, **more: object) -> LaunchEvent:
    """An event of an hour ago."""
    at = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    facts = {"launch_id": "01JDB9Z3N8Q4V7R2M5X6C1T0YK", "seq": 2, "at": at, "phase": phase, "message": "", "attempt": 1}
    return LaunchEvent.of({**facts, "progress": 5, **more})


async def test_the_usual_time_of_a_launch_that_has_ended_is_not_printed() -> None:
    basis = {"count": 5, "p50_s": 40, "p90_s": 90, "of_pulls": False, "passed_s": 0}
    notes = Notes()

    async with UsualTime(notes) as usual_time:
        await usual_time.event(stored("launching", expected_basis=basis))
        for _ in range(9):
            await asyncio.sleep(0)  # the next event may come in another block of the stream
        await usual_time.event(stored("ready"))

    assert notes.kept == []


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
