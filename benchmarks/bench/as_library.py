"""Goal 1: `Launcher.launch` as a library, beside bare aiohttp and the peer's engine making the same calls."""

import json
import statistics
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from benchmarks.bench.figures import Figure, pairs
from benchmarks.processes import fake_hub, process

DRIVERS = ("library", "aiohttp", "tornado")


async def measure(rounds: int) -> list[Figure]:
    """CPU, time to ready and memory of 200 and 1,000 launches at once."""
    figures = []
    for launches in (200, 1000):
        outcomes = await by_turns(rounds, {driver: partial(drive, driver, launches) for driver in DRIVERS})
        cpu_ms = {driver: [outcome["cpu_ms"] for outcome in outcomes[driver]] for driver in DRIVERS}
        ready_s = {driver: [statistics.median(o["ready_s"]) for o in outcomes[driver]] for driver in DRIVERS}
        figures += [
            _ratio(f"CPU a launch, {launches} at once, to bare aiohttp", cpu_ms, "library", "aiohttp", bar=1.6),
            _ratio(f"CPU a launch, {launches} at once, to tornado with curl", cpu_ms, "library", "tornado"),
            _ratio(f"time to ready, {launches} at once, to bare aiohttp", ready_s, "library", "aiohttp", bar=1.05),
            _ratio(f"time to ready, {launches} at once, to tornado with curl", ready_s, "library", "tornado"),
        ]
    rss_kb = await by_turns(rounds, {driver: partial(drive, driver, 1000, "--hold") for driver in DRIVERS})
    for driver, bar in (("library", 60.0), ("aiohttp", None), ("tornado", None)):
        values = tuple(outcome["rss_kb"] for outcome in rss_kb[driver])
        figures.append(Figure(goal="1", name=f"memory a launch in flight, {driver}", values=values, unit="KB", bar=bar))
    return figures


def _ratio(name: str, readings: dict[str, list[float]], ours: str, theirs: str, *, bar: float | None = None) -> Figure:
    detail = ", ".join(f"{driver} {statistics.median(readings[driver]):.3g}" for driver in (ours, theirs))
    return Figure(goal="1", name=name, values=pairs(readings[ours], readings[theirs]), bar=bar, detail=detail)


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
