"""Goals 1 and 2: launches by the library and by the service, compared with bare aiohttp making the same Hub calls."""

import json
import statistics
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.figures import Figure, by_turns, pairs
from tests.support.programs import cpu_s, fake_hub, process, serve


async def drive(driver: str, launches: int, *options: str) -> dict[str, Any]:
    """Return the report of one driver on its launches, on a Hub of its own, as `drive` prints it."""
    spawn_s = "600" if "--hold" in options else "1"
    async with (
        fake_hub("--spawn-s", spawn_s, "--events", "5", "--slow-spawn-timeout", "0") as hub,
        process("benchmarks.drivers", driver, "--launches", str(launches), *options, stdin=json.dumps(hub)) as child,
    ):
        assert child.stdout
        await child.stdout.readline()
        outcome: dict[str, Any] = json.loads(await child.stdout.readline())
        return outcome


DRIVERS = ("library", "aiohttp", "tornado")


async def measure_library(rounds: int) -> list[Figure]:
    """Measure CPU, time to ready and memory of 200 and 1,000 launches at once."""
    figures = []
    for launches in (200, 1000):
        outcomes = await by_turns(rounds, {driver: partial(drive, driver, launches) for driver in DRIVERS})
        cpu_ms = {driver: [outcome["cpu_ms"] for outcome in outcomes[driver]] for driver in DRIVERS}
        ready_s = {driver: [statistics.median(o["ready_s"]) for o in outcomes[driver]] for driver in DRIVERS}
        figures += [
            _library_ratio(f"CPU a launch, {launches} at once, to bare aiohttp", cpu_ms, "library", "aiohttp", bar=1.6),
            _library_ratio(f"CPU a launch, {launches} at once, to tornado with curl", cpu_ms, "library", "tornado"),
            _library_ratio(
                f"time to ready, {launches} at once, to bare aiohttp", ready_s, "library", "aiohttp", bar=1.05
            ),
            _library_ratio(f"time to ready, {launches} at once, to tornado with curl", ready_s, "library", "tornado"),
        ]
    rss_kb = await by_turns(rounds, {driver: partial(drive, driver, 1000, "--hold") for driver in DRIVERS})
    for driver, bar in (("library", 60.0), ("aiohttp", None), ("tornado", None)):
        values = tuple(outcome["rss_kb"] for outcome in rss_kb[driver])
        figures.append(
            Figure(goal="1", name=f"memory a launch in progress, {driver}", values=values, unit="KB", bar=bar)
        )
    return figures


def _library_ratio(
    name: str, readings: dict[str, list[float]], ours: str, theirs: str, *, bar: float | None = None
) -> Figure:
    detail = ", ".join(f"{driver} {statistics.median(readings[driver]):.3g}" for driver in (ours, theirs))
    return Figure(goal="1", name=name, values=pairs(readings[ours], readings[theirs]), bar=bar, detail=detail)


WAYS = {"service": "", "service-in-two": ", with two requests"}


async def measure_service(rounds: int) -> list[Figure]:
    """Measure CPU and time to ready of 200 and 1,000 launches at once. All must be ready, with events in order."""
    figures = []
    for launches in (200, 1000):
        ours = {way: partial(service, launches, way) for way in WAYS}
        outcomes = await by_turns(rounds, ours | {"aiohttp": partial(drive, "aiohttp", launches)})
        cpu_ms = {way: [outcome["cpu_ms"] for outcome in given] for way, given in outcomes.items()}
        ready_s = {way: [statistics.median(outcome["ready_s"]) for outcome in given] for way, given in outcomes.items()}
        for way, words in WAYS.items():
            figures += [
                _service_ratio(f"CPU a launch{words}, {launches} at once, to bare aiohttp", way, cpu_ms, bar=3.0),
                _service_ratio(f"time to ready{words}, {launches} at once, to bare aiohttp", way, ready_s, bar=1.10),
            ]
    return figures


def _service_ratio(name: str, way: str, readings: dict[str, list[float]], *, bar: float) -> Figure:
    ours, theirs = readings[way], readings["aiohttp"]
    detail = f"hublaunch {statistics.median(ours):.3g}, aiohttp {statistics.median(theirs):.3g}"
    return Figure(goal="2", name=name, values=pairs(ours, theirs), bar=bar, detail=detail)


async def service(launches: int, way: str = "service", **more_settings: str) -> dict[str, Any]:
    """Return a service client's report on its launches, as `drive` prints it, but with the service's own `cpu_ms`."""
    with TemporaryDirectory() as directory:
        settings = {"LAUNCHER_MAX_CONCURRENT_SPAWNS": str(launches), **more_settings}
        async with (
            fake_hub("--spawn-s", "1", "--events", "5", "--slow-spawn-timeout", "0") as hub,
            serve(hub, Path(directory), **settings) as (url, pid),
        ):
            arguments = ("benchmarks.drivers", way, "--launches", str(launches))
            async with process(*arguments, stdin=json.dumps({"url": url})) as child:
                assert child.stdout
                await child.stdout.readline()
                before = cpu_s(pid)
                outcome: dict[str, Any] = json.loads(await child.stdout.readline())
            return outcome | {"cpu_ms": (cpu_s(pid) - before) / launches * 1000}
