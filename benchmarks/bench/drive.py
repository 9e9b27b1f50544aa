"""One driver as a process of its own: it launches against a Hub, and says what that cost it.

    echo '{"url": …, "api_url": …, "token": …}' | python -m benchmarks.bench.drive library --launches 200

prints a line of JSON: `cpu_ms` of this process a launch, and `ready_s`, the time to ready of each. With `--hold` on a
Hub whose spawns do not end, `rss_kb` a launch in flight instead. The driver `service` reads hublaunch's `url`.
"""

import argparse
import asyncio
import gc
import json
import os
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import uvloop

from benchmarks.bench.launches import Launch, by_aiohttp, by_library, by_service, by_tornado

DRIVERS = {"library": by_library, "service": by_service, "aiohttp": by_aiohttp, "tornado": by_tornado}
WARM_UP = 20


async def launch_all(launch: Launch, launches: int) -> dict[str, object]:
    """Launch so many at once, until all are ready."""

    async def timed(name: str) -> float:
        began = time.perf_counter()
        await launch(name, lambda: None)
        return time.perf_counter() - began

    await asyncio.gather(*(timed(f"warm-{number}") for number in range(WARM_UP)))
    gc.collect()
    before = time.process_time()
    ready_s = await asyncio.gather(*(timed(f"user-{number}") for number in range(launches)))
    return {"cpu_ms": (time.process_time() - before) / launches * 1000, "ready_s": sorted(ready_s)}


async def hold_all(launch: Launch, launches: int) -> dict[str, object]:
    """Launch so many at once, and look at the memory when all of them follow their progress."""
    async with held(launch, "warm", WARM_UP):
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


async def drive(
    driver: Callable[[dict[str, str]], AbstractAsyncContextManager[Launch]], launches: int, hold: bool
) -> None:
    hub = json.loads(sys.stdin.readline())
    async with driver(hub) as launch:
        print(json.dumps(await (hold_all if hold else launch_all)(launch, launches)), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("driver", choices=DRIVERS)
    parser.add_argument("--launches", type=int, default=200)
    parser.add_argument("--hold", action="store_true")
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(drive(DRIVERS[options.driver], options.launches, options.hold))


if __name__ == "__main__":
    main()
