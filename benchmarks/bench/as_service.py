"""Goal 2: the whole service (POST, log on SQLite, launch, a follower of each), beside bare aiohttp's same Hub calls."""

import json
import statistics
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.bench.as_library import by_turns, drive
from benchmarks.bench.drive import WARM_UP
from benchmarks.bench.figures import Figure, pairs
from benchmarks.processes import cpu_s, fake_hub, process, serve


async def measure(rounds: int) -> list[Figure]:
    """CPU and time to ready of 200 and 1,000 launches at once; each must be ready, with its events in order."""
    figures = []
    for launches in (200, 1000):
        ways = {"service": partial(service, launches), "aiohttp": partial(drive, "aiohttp", launches)}
        outcomes = await by_turns(rounds, ways)
        cpu_ms = {way: [outcome["cpu_ms"] for outcome in outcomes[way]] for way in ways}
        ready_s = {way: [statistics.median(outcome["ready_s"]) for outcome in outcomes[way]] for way in ways}
        figures += [
            _ratio(f"CPU a launch, {launches} at once, to bare aiohttp", cpu_ms, bar=3.0),
            _ratio(f"time to ready, {launches} at once, to bare aiohttp", ready_s, bar=1.10),
        ]
    return figures


def _ratio(name: str, readings: dict[str, list[float]], *, bar: float) -> Figure:
    detail = ", ".join(f"{way} {statistics.median(values):.3g}" for way, values in readings.items())
    return Figure(goal="2", name=name, values=pairs(readings["service"], readings["aiohttp"]), bar=bar, detail=detail)


async def service(launches: int, **more_settings: str) -> dict[str, Any]:
    """What a client of the service says of its launches, as `drive` prints it, but for `cpu_ms`: the service's own."""
    with TemporaryDirectory() as directory:
        settings = {"LAUNCHER_MAX_CONCURRENT_SPAWNS": str(launches), **more_settings}
        async with (
            fake_hub("--spawn-s", "1", "--events", "5", "--slow-spawn-timeout", "0") as hub,
            serve(hub, Path(directory), **settings) as (url, pid),
        ):
            before = cpu_s(pid)
            arguments = ("benchmarks.bench.drive", "service", "--launches", str(launches))
            async with process(*arguments, told=json.dumps({"url": url})) as child:
                assert child.stdout
                outcome: dict[str, Any] = json.loads(await child.stdout.readline())
            return outcome | {"cpu_ms": (cpu_s(pid) - before) / (launches + WARM_UP) * 1000}
