"""Goal 2: the whole service (POST, log on SQLite, launch, a follower of each), beside bare aiohttp's same Hub calls."""

import json
import statistics
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.bench.figures import Figure, pairs
from benchmarks.bench.turns import by_turns, drive
from benchmarks.processes import cpu_s, fake_hub, process, serve

WAYS = {"service": "", "service-in-two": ", by two requests"}


async def measure(rounds: int) -> list[Figure]:
    """CPU and time to ready of 200 and 1,000 launches at once; each must be ready, with its events in order."""
    figures = []
    for launches in (200, 1000):
        ours = {way: partial(service, launches, way) for way in WAYS}
        outcomes = await by_turns(rounds, ours | {"aiohttp": partial(drive, "aiohttp", launches)})
        cpu_ms = {way: [outcome["cpu_ms"] for outcome in given] for way, given in outcomes.items()}
        ready_s = {way: [statistics.median(outcome["ready_s"]) for outcome in given] for way, given in outcomes.items()}
        for way, words in WAYS.items():
            figures += [
                _ratio(f"CPU a launch{words}, {launches} at once, to bare aiohttp", way, cpu_ms, bar=3.0),
                _ratio(f"time to ready{words}, {launches} at once, to bare aiohttp", way, ready_s, bar=1.10),
            ]
    return figures


def _ratio(name: str, way: str, readings: dict[str, list[float]], *, bar: float) -> Figure:
    ours, theirs = readings[way], readings["aiohttp"]
    detail = f"hublaunch {statistics.median(ours):.3g}, aiohttp {statistics.median(theirs):.3g}"
    return Figure(goal="2", name=name, values=pairs(ours, theirs), bar=bar, detail=detail)


async def service(launches: int, way: str = "service", **more_settings: str) -> dict[str, Any]:
    """What a client of the service says of its launches, as `drive` prints it, but for `cpu_ms`: the service's own."""
    with TemporaryDirectory() as directory:
        settings = {"LAUNCHER_MAX_CONCURRENT_SPAWNS": str(launches), **more_settings}
        async with (
            fake_hub("--spawn-s", "1", "--events", "5", "--slow-spawn-timeout", "0") as hub,
            serve(hub, Path(directory), **settings) as (url, pid),
        ):
            arguments = ("benchmarks.bench.drive", way, "--launches", str(launches))
            async with process(*arguments, told=json.dumps({"url": url})) as child:
                assert child.stdout
                await child.stdout.readline()
                before = cpu_s(pid)
                outcome: dict[str, Any] = json.loads(await child.stdout.readline())
            return outcome | {"cpu_ms": (cpu_s(pid) - before) / launches * 1000}
