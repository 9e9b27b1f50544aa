"""Many launches at once, each with a follower, on a Hub that takes a while to spawn.

    python -m benchmarks.burst --launches 200
    python -m benchmarks.burst --rounds 5 --compare LAUNCHER_METRICS_PORT=0     # what a setting costs, in one run

The fake Hub, hublaunch and the driver are processes of their own, all on loopback. Exits with 1 unless every launch was
ready with its events in order.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from benchmarks.processes import cpu_s, fake_hub, serve


@dataclass
class Outcome:
    """What one caller saw."""

    phase: str = "none"
    ready_after_s: float = 0.0
    first_event_after_s: float = 0.0
    seqs: list[int] = field(default_factory=list)
    error: str = ""

    @property
    def is_good(self) -> bool:
        return self.phase == "ready" and self.seqs == list(range(1, len(self.seqs) + 1))


async def launch(session: aiohttp.ClientSession, url: str, number: int) -> Outcome:
    outcome, begin = Outcome(), time.perf_counter()
    try:
        body = {"image": "quay.io/jupyter/base-notebook:latest", "repo_url": f"https://example.org/org/repo-{number}"}
        async with session.post(f"{url}/launch", json=body) as accepted:
            events_url = (await accepted.json())["events_url"]
        async with session.get(url + events_url) as stream:
            async for line in stream.content:
                if line.startswith(b'data: {"launch_id"'):
                    event = json.loads(line[6:])
                    outcome.first_event_after_s = outcome.first_event_after_s or time.perf_counter() - begin
                    outcome.seqs.append(event["seq"])
                    outcome.phase = event["phase"]
        outcome.ready_after_s = time.perf_counter() - begin
    except (aiohttp.ClientError, KeyError, ValueError) as error:
        outcome.error = repr(error)
    return outcome


@dataclass(frozen=True)
class Load:
    """What is asked of the Hub and of hublaunch."""

    launches: int
    spawn_s: float
    events: int
    slow_spawn_timeout: float


async def run(load: Load, more_settings: dict[str, str]) -> tuple[list[Outcome], float]:
    """What callers saw, and the CPU time of hublaunch in milliseconds a launch."""
    launches = load.launches
    with tempfile.TemporaryDirectory() as directory:
        hub_arguments = [
            *("--port", "0", "--spawn-s", str(load.spawn_s), "--events", str(load.events)),
            *("--slow-spawn-timeout", str(load.slow_spawn_timeout)),
        ]
        async with fake_hub(*hub_arguments) as hub:
            settings = {"LAUNCHER_MAX_CONCURRENT_SPAWNS": str(launches), **more_settings}
            async with (
                serve(hub, Path(directory), **settings) as (url, pid),
                aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
            ):
                before = cpu_s(pid)
                outcomes = await asyncio.gather(*(launch(session, url, number) for number in range(launches)))
                cpu_ms = (cpu_s(pid) - before) / launches * 1000
    return outcomes, cpu_ms


async def compare(load: Load, rounds: int, more_settings: dict[str, str]) -> int:
    """Run with and without more settings by turns, and tell what they cost."""
    without, with_them = list[float](), list[float]()
    for _ in range(rounds):
        for settings, cpu in (({}, without), (more_settings, with_them)):
            outcomes, cpu_ms = await run(load, settings)
            cpu.append(cpu_ms)
            if not all(outcome.is_good for outcome in outcomes):
                return report(outcomes, cpu_ms)
    print("CPU of hublaunch, ms a launch, round by round")
    print(f"{'without':10}", *(f"{cpu_ms:6.2f}" for cpu_ms in without))
    print(f"{'with':10}", *(f"{cpu_ms:6.2f}" for cpu_ms in with_them))
    print(f"{'ratio':10} {statistics.median(with_them) / statistics.median(without):6.3f} of the medians")
    return 0


def report(outcomes: list[Outcome], cpu_ms: float) -> int:
    ready = sorted(outcome.ready_after_s for outcome in outcomes)
    bad = [outcome for outcome in outcomes if not outcome.is_good]
    table = {
        "launches": len(outcomes),
        "ready, events in order": len(outcomes) - len(bad),
        "ready p50 s": round(statistics.median(ready), 2),
        "ready p95 s": round(ready[int(len(ready) * 0.95) - 1], 2),
        "ready max s": round(ready[-1], 2),
        "first event p95 s": round(sorted(o.first_event_after_s for o in outcomes)[int(len(ready) * 0.95) - 1], 2),
        "CPU of hublaunch, ms a launch": round(cpu_ms, 2),
    }
    for name, value in table.items():
        print(f"{name:32} {value}")
    for outcome in bad[:5]:
        print("bad:", outcome)
    return 1 if bad else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--launches", type=int, default=200)
    parser.add_argument("--spawn-s", type=float, default=1.0, help="seconds that the Hub takes to spawn")
    parser.add_argument("--events", type=int, default=5, help="progress events a launch")
    parser.add_argument("--slow-spawn-timeout", type=float, default=10.0, help="the Hub's: 10 is stock, z2jh has 0")
    parser.add_argument("--compare", nargs="+", metavar="NAME=VALUE", help="run with these settings by turns as well")
    parser.add_argument("--rounds", type=int, default=5, help="of a comparison")
    arguments = parser.parse_args()
    load = Load(arguments.launches, arguments.spawn_s, arguments.events, arguments.slow_spawn_timeout)
    if arguments.compare:
        more_settings = dict(setting.split("=", 1) for setting in arguments.compare)
        return asyncio.run(compare(load, arguments.rounds, more_settings))
    return report(*asyncio.run(run(load, {})))


if __name__ == "__main__":
    sys.exit(main())
