"""The fake Hub as a process of its own whose spawns never end, and tell now and then what time it is.

    python -m benchmarks.bench.ticking_hub --tick-s 1

prints a line of JSON with its `url`, `api_url` and `token`. Each pending spawn tells something once in `--tick-s`
seconds on average, at moments that have nothing to do with each other.
"""

import argparse
import asyncio
import json
import random
import signal
import time
from itertools import count

import uvloop

from tests.fakes.hub import FakeHub, SpawnPlan

MARK = "written at "
"""Before the nanoseconds of the clock that all processes of a machine share."""


async def tick(hub: FakeHub, tick_s: float) -> None:
    """Let them tell, for ever."""
    for number in count():
        names = sorted(hub.active_servers)
        await asyncio.sleep(random.expovariate(max(1, len(names)) / tick_s))
        if names:
            username, _ = names[number % len(names)]
            hub.report(username, f"{MARK}{time.monotonic_ns()}", progress=50)


async def serve(tick_s: float) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with FakeHub() as hub:
        hub.slow_spawn_timeout, hub.start_timeout = 0, 600
        hub.spawn_plan(None, SpawnPlan(messages=[], never=True))
        print(json.dumps({"url": hub.url, "api_url": hub.api_url, "token": hub.api_token}), flush=True)
        ticking = asyncio.create_task(tick(hub, tick_s))
        await stop.wait()
        ticking.cancel()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tick-s", type=float, default=1.0)
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(options.tick_s))


if __name__ == "__main__":
    main()
