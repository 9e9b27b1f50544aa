"""One driver as a process of its own: it launches against a Hub, and says what that cost it.

    echo '{"url": …, "api_url": …, "token": …}' | python -m benchmarks.bench.drive library --launches 200

prints `warm` after some launches that do not count, and then a line of JSON: `cpu_ms` of this process a launch, and
`ready_s`, the time to ready of each. With `--hold` on a Hub whose spawns do not end, `rss_kb` a launch in flight
instead; with `--count` the `calls` of Python functions a launch. The drivers of the service read hublaunch's `url`.
"""

import argparse
import asyncio
import cProfile
import gc
import json
import os
import pstats
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import uvloop

from benchmarks.bench.launches import (
    Launch,
    by_aiohttp,
    by_library,
    by_service,
    by_service_in_two_requests,
    by_tornado,
)

DRIVERS = {
    "library": by_library,
    "service": by_service,
    "service-in-two": by_service_in_two_requests,
    "aiohttp": by_aiohttp,
    "tornado": by_tornado,
}
WARM_UP = 20


async def launch_all(launch: Launch, launches: int) -> dict[str, object]:
    """Launch so many at once, until all are ready."""

    async def timed(name: str) -> float:
        began = time.perf_counter()
        await launch(name, lambda: None)
        return time.perf_counter() - began

    await asyncio.gather(*(timed(f"warm-{number}") for number in range(WARM_UP)))
    gc.collect()
    print("warm", flush=True)
    before = time.process_time()
    ready_s = await asyncio.gather(*(timed(f"user-{number}") for number in range(launches)))
    return {"cpu_ms": (time.process_time() - before) / launches * 1000, "ready_s": sorted(ready_s)}


async def count_all(launch: Launch, launches: int) -> dict[str, object]:
    """Launch so many at once, and count the calls of functions: nearly the same on every machine and in every run."""
    await asyncio.gather(*(launch(f"warm-{number}", lambda: None) for number in range(WARM_UP)))
    print("warm", flush=True)
    with cProfile.Profile() as profile:
        await asyncio.gather(*(launch(f"user-{number}", lambda: None) for number in range(launches)))
    return {"calls": calls(profile) / launches}


def calls(profile: cProfile.Profile) -> int:
    """How many calls were counted."""
    return int(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]


async def hold_all(launch: Launch, launches: int) -> dict[str, object]:
    """Launch so many at once, and look at the memory when all of them follow their progress."""
    async with held(launch, "warm", WARM_UP):
        print("warm", flush=True)
        before = _rss_kb()
        async with held(launch, "user", launches):
            return {"rss_kb": (_rss_kb() - before) / launches}


@asynccontextmanager
async def held(launch: Launch, prefix: str, launches: int) -> AsyncGenerator[None]:
    told = asyncio.Semaphore(0)
    tasks = [asyncio.create_task(launch(f"{prefix}-{number}", told.release)) for number in range(launches)]
    for _ in tasks:
        await told.acquire()
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _rss_kb() -> float:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024


async def drive(driver: str, launches: int, measure: Callable[[Launch, int], Awaitable[dict[str, object]]]) -> None:
    """Print what is measured of so many launches by this driver."""
    async with DRIVERS[driver](json.loads(sys.stdin.readline())) as launch:
        print(json.dumps(await measure(launch, launches)), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("driver", choices=DRIVERS)
    parser.add_argument("--launches", type=int, default=200)
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--hold", dest="measure", action="store_const", const=hold_all, default=launch_all)
    way.add_argument("--count", dest="measure", action="store_const", const=count_all)
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(drive(options.driver, options.launches, options.measure))


if __name__ == "__main__":
    main()
