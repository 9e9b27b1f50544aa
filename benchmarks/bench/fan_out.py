"""Goal 3: one launch that many follow, beside the least that the same stream costs."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp

from benchmarks.bench.figures import Figure, pairs
from benchmarks.bench.launches import IMAGE, REPO_URL
from benchmarks.bench.turns import by_turns
from benchmarks.processes import cpu_s, fake_hub, process, rss_mb, serve

SECONDS = 10.0
SPAWN_S = 300
PACES_S = {1000: 0.2, 5000: 0.8}
"""Seconds between the events of a launch with so many readers: neither a core nor the readers' process is busy all
the time, so that what is measured is work and not waiting."""
WAYS = ("hublaunch", "streaming", "asgi")


async def measure(rounds: int) -> list[Figure]:
    """CPU for each event that a reader is given, and memory for each reader, of 1,000 and of 5,000."""
    figures = []
    for readers, pace_s in PACES_S.items():
        outcomes = await by_turns(rounds, {way: partial(_read_from, way, readers, pace_s) for way in WAYS})
        cpu_us = {way: [outcome["cpu_us"] for outcome in outcomes[way]] for way in WAYS}
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
        for way in WAYS:
            kb = tuple(outcome["rss_kb"] for outcome in outcomes[way])
            name = f"memory a reader, {readers} readers, {way}"
            bar_kb = 40.0 if way == "hublaunch" else None
            figures.append(Figure(goal="3", name=name, values=kb, unit="KB", bar=bar_kb))
    return figures


async def _read_from(way: str, readers: int, pace_s: float) -> dict[str, Any]:
    stream = _launch if way == "hublaunch" else partial(_bare, way)
    async with stream(pace_s) as (port, target, pid):
        before_mb = rss_mb(pid)
        arguments = ("--port", str(port), "--target", target, "--readers", str(readers), "--seconds", str(SECONDS))
        async with process("benchmarks.bench.readers", *arguments) as child:
            assert child.stdout
            assert await child.stdout.readline() == b"connected\n"
            rss_kb = (rss_mb(pid) - before_mb) / readers * 1024
            assert await child.stdout.readline() == b"begin\n"
            before_s = cpu_s(pid)
            events = int(await child.stdout.readline())
            spent_s = cpu_s(pid) - before_s
    assert events >= 0.8 * readers * SECONDS / pace_s, f"{events} events came; the machine was not up to it"
    return {"cpu_us": spent_s / events * 1e6, "rss_kb": rss_kb}


@asynccontextmanager
async def _launch(pace_s: float) -> AsyncGenerator[tuple[int, str, int]]:
    """A launch whose spawn tells something at this pace: port, target of its events and hublaunch's process."""
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
    async with process("benchmarks.bench.bare_streams", way, "--pace-s", str(pace_s)) as child:
        assert child.stdout
        yield int(await child.stdout.readline()), "/", child.pid
