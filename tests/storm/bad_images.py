"""Measure broken images, and many new ones, on a real JupyterHub that exits after five failed spawns in a row.

    python -m tests.storm.bad_images

The benchmark launches one broken image 100 times, with the guard off and with it on. Then it launches 100 different
broken images with the strict guard. Finally, it launches 200 sound images that were never launched before, alternately
with and without the guard. JupyterHub, its proxy, the servers and hublaunch are separate processes. It prints a table.
The exit status is 1 if a guarded Hub ended, or if sound images took more than 1.5 times as long with the guard.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from hublaunch.demo.proxy import proxy_command, proxy_directory
from tests.hubs.mortal import MortalHub
from tests.hubs.quick_server import BROKEN_IMAGES
from tests.support.processes import Replica, replica

FAILURE_LIMIT = 5
"""The Hub's `consecutive_failure_limit`, as z2jh sets it."""
SLOWER_AT_MOST = 1.5
_LOOK_EVERY_S = 0.2
_EXITS_WITHIN_S = 5
_TOLD_WITHIN_S = 1


@dataclass(frozen=True)
class Outcome:
    """The outcome of some launches, and the state of the Hub afterwards."""

    guard: str
    launches: int
    images: int
    ended: dict[str, int]
    """Launches by last phase, or by the code of their problem. The guard holds back those `in the queue`."""
    failed_spawns: int
    """The failed spawns that the Hub has counted."""
    hub_is_up: bool
    """Whether the Hub process that was started is still the one that answers."""
    hub_up_s: tuple[float, float]
    """How long the Hub had been up before the first launch, and after the last; 0 if it ended."""
    seconds: float


async def run(directory: Path, *, guard: str, images: Sequence[str]) -> Outcome:
    """Launch these images at once on a new Hub. Return the outcome once nothing more happens."""
    async with _frail_hub(directory) as hub:
        started_at = time.monotonic() - _age_s(hub.pid)
        settings = {"LAUNCHER_HUB_GUARD": guard, "LAUNCHER_HUB_URL_LOCAL": hub.local_url, "LAUNCHER_RETRIES": "1"}
        async with replica(hub, f"sqlite:///{directory}/hublaunch.sqlite", **settings) as service:
            begin = time.monotonic()
            ended = Counter(await _launch_all(service, hub, images))
            end = time.monotonic()
            is_up = not await _exits(hub) and await _answers(hub)
        return Outcome(
            guard=guard,
            launches=len(images),
            images=len(set(images)),
            ended=dict(sorted(ended.items())),
            failed_spawns=hub.log.count("Unhandled error starting"),
            hub_is_up=is_up,
            hub_up_s=(round(begin - started_at, 1), round(end - started_at, 1) if is_up else 0.0),
            seconds=round(end - begin, 1),
        )


@asynccontextmanager
async def _frail_hub(directory: Path) -> AsyncGenerator[MortalHub]:
    command = await asyncio.to_thread(proxy_command, proxy_directory(directory))
    async with MortalHub(state=directory / "hub", proxy_command=command, failure_limit=FAILURE_LIMIT) as hub:
        yield hub


async def _launch_all(service: Replica, hub: MortalHub, images: Sequence[str]) -> list[str]:
    unlimited = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=service.http.base_url, limits=unlimited, trust_env=False) as http:
        launches = [asyncio.create_task(_launch(http, image, number)) for number, image in enumerate(images)]
        everything = asyncio.create_task(asyncio.wait(launches))
        quiet = asyncio.create_task(_until_quiet(http, hub))
        await asyncio.wait({everything, quiet}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({everything}, timeout=_TOLD_WITHIN_S)
        ends = [launch.result() if launch.done() else "in the queue" for launch in launches]
        for task in (*launches, everything, quiet):
            task.cancel()
        await asyncio.gather(*launches, everything, quiet, return_exceptions=True)
    return ends


async def _launch(http: httpx.AsyncClient, image: str, number: int) -> str:
    """Launch an image and return its last phase, or the code of its problem. A ready server is stopped immediately."""
    body = {"image": image, "repo_url": f"https://example.org/org/repo-{number}"}
    answer = await http.post("/launch", json=body, timeout=60)
    told = answer.json()
    if answer.status_code != 202:
        return str(told["code"])
    secret = {"X-Launch-Secret": told["secret"]}
    async with http.stream("GET", told["events_url"], timeout=None) as stream:
        last = [json.loads(line[6:]) async for line in stream.aiter_lines() if line.startswith('data: {"launch_id"')][
            -1
        ]
    if last["phase"] == "ready":
        await http.delete(f"/launch/{told['id']}", headers=secret, timeout=60)
    return str(last["problem"]["code"] if last["phase"] == "failed" else last["phase"])


async def _until_quiet(http: httpx.AsyncClient, hub: MortalHub) -> None:
    """Return once nothing is at the Hub and the guard admits no more, or the Hub has ended."""
    while hub.is_running:
        await asyncio.sleep(_LOOK_EVERY_S)
        status: dict[str, Any] = (await http.get("/status")).json()
        if status["launching"] == 0 and status["waiting"] and status["guard"]["state"] in ("proven_only", "paused"):
            return


async def _exits(hub: MortalHub) -> bool:
    """Return whether the Hub exits. It does so 2 s after one failure too many."""
    try:
        async with asyncio.timeout(_EXITS_WITHIN_S):
            await hub.wait()
    except TimeoutError:
        return False
    return True


async def _answers(hub: MortalHub) -> bool:
    try:
        return bool(await hub.users() is not None)
    except httpx.HTTPError:
        return False


def _age_s(pid: int) -> float:
    """Return the seconds since a process was started. This and the benchmark need Linux."""
    ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return float(Path("/proc/uptime").read_text().split()[0]) - ticks / 100


async def _runs(launches: int, sound: int, pairs: int) -> list[Outcome]:
    plan = [
        ("off", [f"{BROKEN_IMAGES}:1"] * launches),
        ("normal", [f"{BROKEN_IMAGES}:1"] * launches),
        ("strict", [f"{BROKEN_IMAGES}-{number}:1" for number in range(launches)]),
        *[(guard, [f"example.org/sound-{n}:1" for n in range(sound)]) for guard in ("off", "normal") * pairs],
    ]
    outcomes = []
    for guard, images in plan:
        with tempfile.TemporaryDirectory() as directory:
            outcomes.append(await run(Path(directory), guard=guard, images=images))
        print(_row(outcomes[-1]), flush=True)
    return outcomes


def _row(outcome: Outcome) -> str:
    ends = ", ".join(f"{count} {end}" for end, count in outcome.ended.items())
    hub = f"up {outcome.hub_up_s[0]:.0f} s, then {outcome.hub_up_s[1]:.0f} s" if outcome.hub_is_up else "exited"
    launches = f"{outcome.launches} of {outcome.images} image{'s' if outcome.images > 1 else ''}"
    return f"| {outcome.guard} | {launches} | {ends} | {outcome.failed_spawns} | {hub} | {outcome.seconds:.1f} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--launches", type=int, default=100, help="of broken images")
    parser.add_argument("--sound", type=int, default=200, help="launches of sound images")
    parser.add_argument("--pairs", type=int, default=2, help="runs of sound images with and without the guard")
    arguments = parser.parse_args()
    print("| guard | launches | ended | failed spawns | the Hub | seconds |\n|---|---|---|---|---|---|")
    outcomes = asyncio.run(_runs(arguments.launches, arguments.sound, arguments.pairs))
    sound = outcomes[3:]
    ratios = [on.seconds / off.seconds for off, on in zip(sound[::2], sound[1::2], strict=True)]
    ratio = statistics.median(ratios) if ratios else 0.0
    print(f"\nSound images took {ratio:.2f} times as long with the guard (at most {SLOWER_AT_MOST}).")
    guarded = [outcome for outcome in outcomes if outcome.guard != "off"]
    return 0 if all(outcome.hub_is_up for outcome in guarded) and ratio <= SLOWER_AT_MOST else 1


if __name__ == "__main__":
    sys.exit(main())
