"""Goal 4: how old an event of the Hub is when a follower has it, beside a pass-through that stores nothing."""

import json
import statistics
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp

from benchmarks.bench.figures import Figure, pairs
from benchmarks.bench.launches import IMAGE, REPO_URL
from benchmarks.bench.turns import by_turns
from benchmarks.processes import process, serve
from tests.support.postgres import running_postgres

LAUNCHES = 100
TICK_S = 1.0
"""Between two events of a launch, on average."""
SECONDS = 15.0
_FULL = """
from hublaunch.store import sqlite
sqlite._PRAGMAS = tuple(pragma.replace("NORMAL", "FULL") for pragma in sqlite._PRAGMAS)
from hublaunch.cli import main
main()
"""
"""hublaunch with a SQLite that waits for the disk at each commit, which it does not do by itself."""

WAYS = {
    "WAL NORMAL": "SQLite, WAL, synchronous=NORMAL: as hublaunch has it",
    "WAL FULL": "SQLite, WAL, synchronous=FULL",
    "PostgreSQL": "PostgreSQL, fsync and synchronous_commit on",
}

Streams = Callable[[dict[str, str]], AbstractAsyncContextManager[tuple[int, list[str]]]]
"""The port and targets of the streams of so many launches."""


async def measure(rounds: int) -> list[Figure]:
    """The middle and the 99th of a hundred ages, of 100 launches that tell something once a second."""
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
    for way, words in WAYS.items():
        detail = f"{statistics.median(p99[way]):.3g} ms, pass-through {statistics.median(p99['pass-through']):.3g} ms"
        figures += [
            Figure(goal="4", name=f"age at the follower, p50; {words}", values=p50[way], unit="ms", bar=2.0),
            Figure(goal="4", name=f"p99 to that; {way}", values=pairs(p99[way], p99["pass-through"]), detail=detail),
        ]
    return figures


async def _ages(streams: Streams) -> dict[str, Any]:
    async with process("benchmarks.bench.ticking_hub", "--tick-s", str(TICK_S)) as ticking:
        assert ticking.stdout
        async with streams(json.loads(await ticking.stdout.readline())) as (port, targets):
            arguments = ("benchmarks.bench.marks", "--port", str(port), "--seconds", str(SECONDS))
            async with process(*arguments, told=json.dumps(targets)) as child:
                assert child.stdout
                ages_ms = sorted(json.loads(await child.stdout.readline()))
    assert len(ages_ms) >= 0.8 * LAUNCHES * SECONDS / TICK_S, (
        f"{len(ages_ms)} events came; the machine was not up to it"
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
    async with process("benchmarks.bench.pass_through", told=json.dumps(hub)) as child:
        assert child.stdout
        yield int(await child.stdout.readline()), [f"/?name=user-{number}" for number in range(LAUNCHES)]
