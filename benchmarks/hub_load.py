"""Goal 6: the load of a launch on the Hub: its requests and, on a real JupyterHub, its CPU and time."""

import asyncio
import json
import statistics
from collections import Counter
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp

from benchmarks.drivers import IMAGE, REPO_URL
from benchmarks.figures import Figure, by_turns, pairs
from hublaunch.demo.proxy import proxy_command, proxy_directory
from tests.hubs.mortal import MortalHub
from tests.support.programs import cpu_s, fake_hub, process, serve

LAUNCHES = 50
"""Launches at once. Each server is a process on the machine that runs everything."""
OURS = ("service", "library")
_UNLIMITED = 1_000_000
"""The Hub's limit of failed spawns in a row. A MortalHub with such a limit does not limit concurrent spawns."""


async def measure(rounds: int) -> list[Figure]:
    """Measure the service, the library and bare aiohttp, each time on a new JupyterHub."""
    figures = await _requests()
    outcomes = await by_turns(rounds, {way: partial(_on_a_real_hub, way) for way in (*OURS, "aiohttp")})
    for measured, words, unit in (("hub_cpu_ms", "CPU of a real JupyterHub per launch", "ms"), ("a_minute", "", "")):
        values = {way: [outcome[measured] for outcome in given] for way, given in outcomes.items()}
        for way in OURS:
            ours, theirs = statistics.median(values[way]), statistics.median(values["aiohttp"])
            name = f"{words or 'launches a minute on a real JupyterHub'}, {way}, to bare aiohttp"
            detail = f"{ours:.3g} {unit}, aiohttp {theirs:.3g} {unit}"
            figures.append(Figure(goal="6", name=name, values=pairs(values[way], values["aiohttp"]), detail=detail))
    return figures


async def _requests() -> list[Figure]:
    """Count the requests to the fake Hub until a hundred launches are ready, and until they are gone again."""
    with TemporaryDirectory() as directory:
        ready = await _count(Path(directory), 100, delete=False)
        gone = await _count(Path(directory), 100, delete=True)
    return [
        Figure(
            goal="6",
            name=name,
            values=(counted.total(),),
            unit="requests",
            detail=", ".join(f"{operation} {number:g}" for operation, number in sorted(counted.items())),
        )
        for name, counted in (
            ("a launch, until it is ready (BinderHub's Launcher: 3, without a token and a check)", ready),
            ("a launch, its clean-up", gone - ready),
        )
    ]


async def _count(directory: Path, launches: int, *, delete: bool) -> Counter[str]:
    """Return the requests per launch by kind, without those that hublaunch also sends when there are no launches."""
    report = directory / "report.json"
    options = ("--spawn-s", "1", "--events", "5", "--slow-spawn-timeout", "0", "--report", str(report))
    settings = {"LAUNCHER_MAX_CONCURRENT_SPAWNS": str(launches)}
    with TemporaryDirectory() as database:
        async with (
            fake_hub(*options) as hub,
            serve(hub, Path(database), **settings) as (url, _),
            aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=0)) as session,
        ):
            await asyncio.gather(*(_launch(session, number, delete=delete) for number in range(launches)))
    asked = json.loads(report.read_text())["asked"]
    return Counter({kind: number / launches for kind, number in asked.items() if number >= launches})


async def _launch(session: aiohttp.ClientSession, number: int, *, delete: bool) -> None:
    async with session.post("/launch", json={"image": IMAGE, "repo_url": f"{REPO_URL}-{number}"}) as response:
        accepted = await response.json()
    async with session.get(accepted["events_url"]) as stream:
        assert '"phase":"ready"' in await stream.text()
    if delete:
        headers = {"X-Launch-Secret": accepted["secret"]}
        async with session.delete(f"/launch/{accepted['id']}", headers=headers) as response:
            assert response.status in (200, 202, 204), await response.text()


async def _on_a_real_hub(way: str) -> dict[str, Any]:
    with TemporaryDirectory() as directory:
        state = Path(directory)
        command = await asyncio.to_thread(proxy_command, proxy_directory(state))
        async with MortalHub(state=state / "hub", proxy_command=command, failure_limit=_UNLIMITED) as running:
            hub = {"url": running.url, "api_url": running.api_url.rstrip("/"), "token": running.token}
            if way != "service":
                return await _drive(way, hub, running.pid)
            settings = {"LAUNCHER_MAX_CONCURRENT_SPAWNS": str(LAUNCHES), "LAUNCHER_HUB_URL_LOCAL": running.local_url}
            async with serve(hub, state, **settings) as (url, _):
                return await _drive(way, {"url": url}, running.pid)


async def _drive(way: str, connection: dict[str, str], hub_pid: int) -> dict[str, Any]:
    arguments = ("benchmarks.drivers", way, "--launches", str(LAUNCHES))
    async with process(*arguments, stdin=json.dumps(connection)) as child:
        assert child.stdout
        await child.stdout.readline()
        before_s = cpu_s(hub_pid)
        outcome = json.loads(await child.stdout.readline())
    hub_cpu_ms = (cpu_s(hub_pid) - before_s) / LAUNCHES * 1000
    return {"hub_cpu_ms": hub_cpu_ms, "a_minute": LAUNCHES / max(outcome["ready_s"]) * 60}
