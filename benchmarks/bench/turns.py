"""Measuring several ways of doing the same, by turns."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from benchmarks.processes import fake_hub, process


async def by_turns(
    rounds: int, ways: Mapping[str, Callable[[], Awaitable[dict[str, Any]]]]
) -> dict[str, list[dict[str, Any]]]:
    """What each way to do it gives, round by round.

    Each round begins with another one, so that none always has the machine as the same other left it.
    """
    outcomes: dict[str, list[dict[str, Any]]] = {name: [] for name in ways}
    names = list(ways)
    for number in range(rounds):
        begin = number % len(names)
        for name in (*names[begin:], *names[:begin]):
            outcomes[name].append(await ways[name]())
    return outcomes


async def drive(driver: str, launches: int, *options: str) -> dict[str, Any]:
    """What one driver says of its launches on a Hub of its own, as `drive` prints it."""
    spawn_s = "600" if "--hold" in options else "1"
    async with (
        fake_hub("--spawn-s", spawn_s, "--events", "5", "--slow-spawn-timeout", "0") as hub,
        process("benchmarks.bench.drive", driver, "--launches", str(launches), *options, told=json.dumps(hub)) as child,
    ):
        assert child.stdout
        await child.stdout.readline()
        outcome: dict[str, Any] = json.loads(await child.stdout.readline())
        return outcome
