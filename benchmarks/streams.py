"""Goals 3 and 4: one stream with thousands of readers, and the age of events when they reach a follower."""

import json
import statistics
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp

from benchmarks.drivers import IMAGE, REPO_URL
from benchmarks.figures import Figure, by_turns, pairs
from tests.support.postgres import running_postgres
from tests.support.programs import cpu_s, fake_hub, process, rss_mb, serve

FAN_OUT_S = 10.0
SPAWN_S = 300
PACES_S = {1000: 0.2, 5000: 0.8}
"""Seconds between the events of a launch, by the number of readers. Neither a core nor the readers' process is busy all
the time, so the figures show work and not waiting."""
SERVERS = ("hublaunch", "streaming", "asgi")


async def measure_fan_out(rounds: int) -> list[Figure]:
    """Measure CPU per event and reader, and memory per reader, with 1,000 and with 5,000 readers."""
    figures = []
    for readers, pace_s in PACES_S.items():
        outcomes = await by_turns(rounds, {way: partial(_read_from, way, readers, pace_s) for way in SERVERS})
        cpu_us = {way: [outcome["cpu_us"] for outcome in outcomes[way]] for way in SERVERS}
        for way, words, bar in (("streaming", "StreamingResponse", 1.15), ("asgi", "bare ASGI", 1.3)):
            figures.append(
                Figure(
                    goal="3",
                    name=f"CPU an event and reader, {readers} readers, to {words}",
                    values=pairs(cpu_us["hublaunch"], cpu_us[way]),
                    bar=bar,
                    detail=f"hublaunch {median(cpu_us['hublaunch']):.3g} us, {words} {median(cpu_us[way]):.3g} us",
                )
            )
        for way in SERVERS:
            kb = tuple(outcome["rss_kb"] for outcome in outcomes[way])
            name = f"memory a reader, {readers} readers, {way}"
            bar_kb = 40.0 if way == "hublaunch" else None
            figures.append(Figure(goal="3", name=name, values=kb, unit="KB", bar=bar_kb))
    return figures


async def _read_from(way: str, readers: int, pace_s: float) -> dict[str, Any]:
    stream = _launch if way == "hublaunch" else partial(_bare, way)
    async with stream(pace_s) as (port, target, pid):
        before_mb = rss_mb(pid)
        arguments = ("--port", str(port), "--target", target, "--readers", str(readers), "--seconds", str(FAN_OUT_S))
        async with process("benchmarks.stream_readers", "count", *arguments) as child:
            assert child.stdout
            assert await child.stdout.readline() == b"connected\n"
            rss_kb = (rss_mb(pid) - before_mb) / readers * 1024
            assert await child.stdout.readline() == b"begin\n"
            before_s = cpu_s(pid)
            events = int(await child.stdout.readline())
            spent_s = cpu_s(pid) - before_s
    assert events >= 0.8 * readers * FAN_OUT_S / pace_s, f"only {events} events came: the machine is too slow"
    return {"cpu_us": spent_s / events * 1e6, "rss_kb": rss_kb}


@asynccontextmanager
async def _launch(pace_s: float) -> AsyncGenerator[tuple[int, str, int]]:
    """Yield the port, the target and the process id of a launch whose spawn reports events at this pace."""
    events = str(round(SPAWN_S / pace_s))
    with TemporaryDirectory() as directory:
        async with (
            fake_hub("--spawn-s", str(SPAWN_S), "--events", events, "--slow-spawn-timeout", "0") as hub,
            serve(hub, Path(directory), LAUNCHER_LAUNCH_TIMEOUT="600") as (url, pid),
            aiohttp.ClientSession(url) as session,
            session.post("/launch", json={"image": IMAGE, "repo_url": REPO_URL}) as accepted,
        ):
            launch = await accepted.json()
            yield int(url.rpartition(":")[2]), f"/launch/{launch['id']}/events", pid


@asynccontextmanager
async def _bare(way: str, pace_s: float) -> AsyncGenerator[tuple[int, str, int]]:
    async with process("benchmarks.stream_sources", way, "--pace-s", str(pace_s)) as child:
        assert child.stdout
        yield int(await child.stdout.readline()), "/", child.pid


LAUNCHES = 100
TICK_S = 1.0
"""Seconds between two events of a launch, on average."""
LATENCY_S = 15.0
_FULL = """
from hublaunch.store import sqlite
sqlite._PRAGMAS = tuple(pragma.replace("NORMAL", "FULL") for pragma in sqlite._PRAGMAS)
from hublaunch.cli import main
main()
"""
"""hublaunch with a SQLite that waits for the disk at each commit, which it does not do by default."""

DATABASES = {
    "WAL NORMAL": "SQLite, WAL, synchronous=NORMAL: as hublaunch has it",
    "WAL FULL": "SQLite, WAL, synchronous=FULL",
    "PostgreSQL": "PostgreSQL, fsync and synchronous_commit on",
}

Streams = Callable[[dict[str, str]], AbstractAsyncContextManager[tuple[int, list[str]]]]
"""Yields the port and the targets of the streams of all launches."""


async def measure_latency(rounds: int) -> list[Figure]:
    """Measure the median and the 99th percentile of events' ages, with 100 launches that report once a second."""
    with running_postgres(quick=False) as postgres:
        streams: dict[str, Streams] = {
            "pass-through": _passed_through,
            "WAL NORMAL": _launched,
            "WAL FULL": partial(_launched, program=("-c", _FULL)),
            "PostgreSQL": lambda hub: _launched(
                hub, LAUNCHER_DATABASE_URL=postgres.database(), LAUNCHER_SECRET_KEY="latency" * 5
            ),
        }
        outcomes = await by_turns(rounds, {way: partial(_ages, opened) for way, opened in streams.items()})
    p50 = {way: tuple(outcome["p50_ms"] for outcome in outcomes[way]) for way in outcomes}
    p99 = {way: tuple(outcome["p99_ms"] for outcome in outcomes[way]) for way in outcomes}
    figures = [Figure(goal="4", name="age at the follower, p50; pass-through", values=p50["pass-through"], unit="ms")]
    for way, words in DATABASES.items():
        detail = f"{statistics.median(p99[way]):.3g} ms, pass-through {statistics.median(p99['pass-through']):.3g} ms"
        figures += [
            Figure(goal="4", name=f"age at the follower, p50; {words}", values=p50[way], unit="ms", bar=2.0),
            Figure(goal="4", name=f"p99 to that; {way}", values=pairs(p99[way], p99["pass-through"]), detail=detail),
        ]
    return figures


async def _ages(streams: Streams) -> dict[str, Any]:
    async with process("benchmarks.stream_sources", "ticking-hub", "--pace-s", str(TICK_S)) as ticking:
        assert ticking.stdout
        async with streams(json.loads(await ticking.stdout.readline())) as (port, targets):
            arguments = ("benchmarks.stream_readers", "ages", "--port", str(port), "--seconds", str(LATENCY_S))
            async with process(*arguments, stdin=json.dumps(targets)) as child:
                assert child.stdout
                ages_ms = sorted(json.loads(await child.stdout.readline()))
    assert len(ages_ms) >= 0.8 * LAUNCHES * LATENCY_S / TICK_S, (
        f"only {len(ages_ms)} events came: the machine is too slow"
    )
    return {"p50_ms": statistics.median(ages_ms), "p99_ms": ages_ms[int(0.99 * len(ages_ms))]}


@asynccontextmanager
async def _launched(
    hub: dict[str, str], *, program: tuple[str, ...] = ("hublaunch.cli",), **settings: str
) -> AsyncGenerator[tuple[int, list[str]]]:
    settings |= {"LAUNCHER_MAX_CONCURRENT_SPAWNS": str(LAUNCHES)}
    with TemporaryDirectory() as directory:
        async with (
            serve(hub, Path(directory), program=program, **settings) as (url, _),
            aiohttp.ClientSession(url) as session,
        ):
            targets = []
            for number in range(LAUNCHES):
                body = {"image": IMAGE, "repo_url": f"{REPO_URL}-{number}"}
                async with session.post("/launch", json=body) as accepted:
                    targets.append((await accepted.json())["events_url"])
            yield int(url.rpartition(":")[2]), targets


@asynccontextmanager
async def _passed_through(hub: dict[str, str]) -> AsyncGenerator[tuple[int, list[str]]]:
    async with process("benchmarks.stream_sources", "pass-through", stdin=json.dumps(hub)) as child:
        assert child.stdout
        yield int(await child.stdout.readline()), [f"/?name=user-{number}" for number in range(LAUNCHES)]
