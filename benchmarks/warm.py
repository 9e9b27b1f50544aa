"""Goal 9: how soon a launch that finds a warm server is ready.

One at a time on the demo's JupyterHub, with the way to the first result of a kernel, beside launches without a warm
server; many at once on the fake Hub. The clock is the caller's.
"""

import asyncio
import json
import random
import statistics
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp

from benchmarks.figures import Figure, by_turns, pairs
from hublaunch.demo.process import HubProcess
from hublaunch.demo.proxy import proxy_command, proxy_directory
from hublaunch.doctor.kernel import run_in_kernel
from tests.support.programs import fake_hub, serve

SINGLE = 6
"""Launches one at a time in each round, of each kind."""
PER_S = 45.0
BURST, WARM_AT_BURST = 300, 100
_FILL_S = 300.0
"""The longest time in which a pool must fill."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ready:
    """A launch that has become ready."""

    after_s: float
    """From the request to the event `ready` at the caller."""
    is_warm: bool
    url: str
    token: str
    launch_id: str
    secret: str


async def measure(rounds: int) -> list[Figure]:
    """Measure launches one at a time, then many at once."""
    return [*await _singly(rounds), *await _many(rounds)]


# --- one at a time, on the demo's JupyterHub --------------------------------------------------------------------------


async def _singly(rounds: int) -> list[Figure]:
    warm, cold = list[tuple[float, float]](), list[tuple[float, float]]()
    async with _demo() as http:
        for number in range(rounds * SINGLE):
            await _until_filled(http, 1)
            warm.append(await _ready_and_calculated(http, "warm"))
            if number % SINGLE == 0:
                await _until_filled(http, 1)
                cold.append(await _ready_and_calculated(http, "cold"))
    return [
        _figure("a warm launch, from the request to ready", [ready for ready, _ in warm], bar=60),
        _p95("a warm launch, from the request to ready", [ready for ready, _ in warm], bar=150),
        _p95("a warm launch, from the request to 1+1 = 2", [result for _, result in warm], bar=1000),
        _figure("a launch without a warm server, to ready", [ready for ready, _ in cold]),
        _figure("a launch without a warm server, to 1+1 = 2", [result for _, result in cold]),
    ]


@asynccontextmanager
async def _demo() -> AsyncGenerator[aiohttp.ClientSession]:
    """Run the demo's Hub with one warm server, and yield a session at hublaunch."""
    with TemporaryDirectory() as directory:
        state = Path(directory)
        command = await asyncio.to_thread(proxy_command, proxy_directory(state))
        async with HubProcess(state=state / "hub", proxy_command=command, public_port=0) as hub:
            address = {"url": hub.public_url, "token": hub.token}
            settings = {
                "LAUNCHER_HUB_URL_LOCAL": hub.local_url,
                "LAUNCHER_CATALOGUE_FILE": str(_catalogue(state, keep=1)),
            }
            async with serve(address, state, **settings) as (url, _), aiohttp.ClientSession(url) as http:
                yield http


async def _ready_and_calculated(http: aiohttp.ClientSession, environment: str) -> tuple[float, float]:
    """Return the seconds from the request to `ready`, and to a result of a new kernel. Stops the server."""
    began = time.perf_counter()
    ready = await _launch(http, environment)
    assert await run_in_kernel(http, ready.url, ready.token, "1+1") == "2"
    took_s = time.perf_counter() - began
    assert ready.is_warm == (environment == "warm")
    await _stop(http, ready)
    return ready.after_s, took_s


# --- many at once, on the fake Hub ------------------------------------------------------------------------------------


async def _many(rounds: int) -> list[Figure]:
    ways = {"stream": _stream_of_launches, "burst": _burst, "burst without a pool": _burst_without_pool}
    outcomes = await by_turns(rounds, ways)
    streams, bursts = outcomes["stream"], outcomes["burst"]
    misses = [statistics.median(outcome["cold_s"]) for outcome in bursts]
    without = [statistics.median(outcome["cold_s"]) for outcome in outcomes["burst without a pool"]]
    return [
        _figure(f"p95 of {BURST} warm launches, {PER_S:g} a second", [each["p95_s"] for each in streams], bar=500),
        Figure(
            goal="9",
            name=f"warm launches among {BURST} at once with {WARM_AT_BURST} warm servers",
            values=tuple(float(len(outcome["warm_s"])) for outcome in bursts),
            unit="launches",
        ),
        _figure(f"ready, of {BURST} at once, with one of them", [statistics.median(o["warm_s"]) for o in bursts]),
        Figure(
            goal="9",
            name=f"time to ready of the {BURST - WARM_AT_BURST} others, to as many launches without a pool",
            values=pairs(misses, without),
            bar=1.05,
            detail=f"with a pool {statistics.median(misses):.3g} s, without {statistics.median(without):.3g} s",
        ),
    ]


async def _stream_of_launches() -> dict[str, Any]:
    """Launch at random moments, as many a second as agent-sandbox's benchmark, whatever the answers take."""
    async with on_fake_hub(keep=BURST) as (http, _):
        launches = []
        for _ in range(BURST):
            launches.append(asyncio.create_task(_launch(http, "warm")))
            await asyncio.sleep(random.expovariate(PER_S))
        took_s = [ready.after_s for ready in await asyncio.gather(*launches)]
    return {"p95_s": statistics.quantiles(took_s, n=20)[-1]}


async def _burst() -> dict[str, Any]:
    async with on_fake_hub(keep=WARM_AT_BURST) as (http, _):
        return _by_kind(await asyncio.gather(*(_launch(http, "warm") for _ in range(BURST))))


async def _burst_without_pool() -> dict[str, Any]:
    async with on_fake_hub(keep=0) as (http, _):
        return _by_kind(await asyncio.gather(*(_launch(http, "cold") for _ in range(BURST - WARM_AT_BURST))))


def _by_kind(launches: Sequence[Ready]) -> dict[str, Any]:
    return {
        "warm_s": [ready.after_s for ready in launches if ready.is_warm],
        "cold_s": [ready.after_s for ready in launches if not ready.is_warm],
    }


@asynccontextmanager
async def on_fake_hub(*, keep: int) -> AsyncGenerator[tuple[aiohttp.ClientSession, int]]:
    """Run the fake Hub with a pool of this size. Yield a session at hublaunch and its process id, once it is filled."""
    with TemporaryDirectory() as directory:
        settings = {
            "LAUNCHER_MAX_CONCURRENT_SPAWNS": "400",
            "LAUNCHER_MAX_WARM_SERVERS": str(BURST),
            "LAUNCHER_CATALOGUE_FILE": str(_catalogue(Path(directory), keep=keep)),
        }
        async with (
            fake_hub("--spawn-s", "1", "--events", "5", "--slow-spawn-timeout", "0") as hub,
            serve(hub, Path(directory), **settings) as (url, pid),
            aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=0)) as http,
        ):
            await _until_filled(http, keep)
            yield http, pid


# --- both -------------------------------------------------------------------------------------------------------------


def _catalogue(directory: Path, *, keep: int) -> Path:
    """Write a catalogue whose environment `warm` keeps this many servers, and `cold` none."""
    warm = {"title": "Warm", "image": "quay.io/org/warm:1", "warm": {"keep": keep, "most": max(keep, 1)}}
    path = directory / "catalogue.json"
    path.write_text(
        json.dumps({"environments": {"warm": warm, "cold": {"title": "Cold", "image": "quay.io/org/cold:1"}}})
    )
    return path


async def _until_filled(http: aiohttp.ClientSession, keep: int) -> None:
    """Return once this many servers are ready and no other is being started or stopped."""
    async with asyncio.timeout(_FILL_S):
        while keep:
            async with http.get("/status") as answer:
                pools = (await answer.json())["pools"] or []
            if any((each["ready"], each["starting"], each["retiring"]) == (keep, 0, 0) for each in pools):
                return
            await asyncio.sleep(0.2)


async def _launch(http: aiohttp.ClientSession, environment: str) -> Ready:
    began = time.perf_counter()
    async with http.post(
        "/launch", json={"environment": environment}, headers={"Accept": "text/event-stream"}
    ) as stream:
        assert stream.status < 300, await stream.text()
        secret = stream.headers["X-Launch-Secret"]
        async for line in stream.content:
            if line.startswith(b'data: {"launch_id"'):
                event = json.loads(line[6:])
    after_s = time.perf_counter() - began
    assert event["phase"] == "ready", event
    async with http.get(f"/launch/{event['launch_id']}", headers={"X-Launch-Secret": secret}) as answer:
        is_warm = (await answer.json())["warm"]
    return Ready(
        after_s=after_s,
        is_warm=is_warm,
        url=event["url"],
        token=event["token"],
        launch_id=event["launch_id"],
        secret=secret,
    )


async def _stop(http: aiohttp.ClientSession, ready: Ready) -> None:
    headers = {"X-Launch-Secret": ready.secret}
    while True:
        async with http.delete(f"/launch/{ready.launch_id}", headers=headers) as answer:
            assert answer.status < 300, await answer.text()
            if answer.status == 204:
                return
        await asyncio.sleep(0.2)


def _figure(name: str, seconds: Sequence[float], *, bar: float | None = None) -> Figure:
    return Figure(goal="9", name=name, values=tuple(1000 * each for each in seconds), unit="ms", bar=bar)


def _p95(name: str, seconds: Sequence[float], *, bar: float) -> Figure:
    return _figure(f"{name}, p95 of {len(seconds)}", [statistics.quantiles(seconds, n=20)[-1]], bar=bar)
