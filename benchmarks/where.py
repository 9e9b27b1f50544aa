"""Goal 8: the time that each step of a launch takes on the demo's JupyterHub, as figures and as a picture.

    python -m benchmarks.where --rounds 5 --picture docs/images/where-the-seconds-go.svg

The caller notes when the request left and when `ready` came. The moments between come from the Hub's log, which the
server and the proxy also write to. Everything runs on one machine, by one clock.
"""

import argparse
import asyncio
import json
import re
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp

from benchmarks.drivers import IMAGE, REPO_URL
from benchmarks.figures import Figure
from hublaunch.demo.process import HubProcess
from hublaunch.demo.proxy import proxy_command, proxy_directory
from tests.support.programs import run_to_end, serve

_STAMP = r"^\[. (?P<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) [^]]+\] "
_JUPYTERHUB, _SERVER, _PROXY, _OURS = "#f37726", "#4e79a7", "#59a14f", "#8a4fbf"


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A part of a launch, from the end of the part before it."""

    words: str
    color: str
    ends: str | None
    """The beginning of the line in the Hub's log that ends the step; None for the answer to the caller."""


STEPS = (
    Step(
        words="hublaunch: checks, stores and admits it",
        color=_OURS,
        ends=r"201 POST \S+/users/[^/ ]+ .* (?P<ms>[\d.]+)ms",
    ),
    Step(words="JupyterHub: user, token, spawner", color=_JUPYTERHUB, ends="Spawning "),
    Step(words="Server: Python starts and imports Jupyter", color=_SERVER, ends=r".*extension was successfully linked"),
    Step(words="Server: loads its extensions, listens", color=_SERVER, ends=r"Jupyter Server \S+ is running at"),
    Step(words="JupyterHub: sees that it answers", color=_JUPYTERHUB, ends=r"User \S+ took"),
    Step(words="Proxy: a route to it", color=_PROXY, ends=r"Server \S+ is ready"),
    Step(words="hublaunch: asks the server, says that it is ready", color=_OURS, ends=None),
)


async def measure(rounds: int) -> list[Figure]:
    """Return the milliseconds of each step, launch by launch, and hublaunch's share of the whole."""
    launches = await _launches(rounds)
    figures = [
        Figure(goal="8", name=step.words, values=tuple(spent[step.words] for spent in launches), unit="ms")
        for step in STEPS
    ]
    ours = [step.words for step in STEPS if step.color == _OURS]
    shares = tuple(100 * sum(spent[words] for words in ours) / sum(spent.values()) for spent in launches)
    whole = tuple(sum(spent.values()) for spent in launches)
    return [
        *figures,
        Figure(goal="8", name="a launch, from the request to ready", values=whole, unit="ms"),
        Figure(goal="8", name="hublaunch's share of it", values=shares, unit="%", bar=10.0),
    ]


async def _launches(count: int) -> Sequence[Mapping[str, float]]:
    """Launch `count` + 1 times: the first launch warms up the Hub and Jupyter's files, and does not count."""
    async with _demo() as (hub, session):
        await _launch(hub, session)
        return [await _launch(hub, session) for _ in range(count)]


@asynccontextmanager
async def _demo() -> AsyncGenerator[tuple[HubProcess, aiohttp.ClientSession]]:
    with TemporaryDirectory() as directory:
        state = Path(directory)
        command = await asyncio.to_thread(proxy_command, proxy_directory(state))
        async with HubProcess(state=state / "hub", proxy_command=command, public_port=0) as hub:
            address = {"url": hub.public_url, "token": hub.token}
            async with (
                serve(address, state, LAUNCHER_HUB_URL_LOCAL=hub.local_url) as (url, _),
                aiohttp.ClientSession(url) as session,
            ):
                yield hub, session


async def _launch(hub: HubProcess, session: aiohttp.ClientSession) -> Mapping[str, float]:
    """Return the milliseconds of each step."""
    before = hub.log_path.stat().st_size
    began = time.time()
    headers = {"Accept": "text/event-stream"}
    body = {"image": IMAGE, "repo_url": REPO_URL}
    async with session.post("/launch", json=body, headers=headers) as stream:
        secret = stream.headers["X-Launch-Secret"]
        async for line in stream.content:
            if line.startswith(b'data: {"launch_id"'):
                event = json.loads(line[6:])
    told = time.time()
    assert event["phase"] == "ready", event
    with hub.log_path.open(encoding="utf-8", errors="replace") as log:
        log.seek(before)
        moments = [*_moments(log.readlines()), told]
    async with session.delete(f"/launch/{event['launch_id']}", headers={"X-Launch-Secret": secret}) as deleted:
        assert deleted.status < 300, await deleted.text()
    begins = [began, *moments[:-1]]
    return {step.words: (end - begin) * 1000 for step, begin, end in zip(STEPS, begins, moments, strict=True)}


def _moments(lines: Sequence[str]) -> Sequence[float]:
    """Return when each step but the last ended. If a line says how long its request took, return when that began."""
    moments, rest = [], iter(lines)
    for step in STEPS[:-1]:
        found = next(found for line in rest if (found := re.match(f"{_STAMP}{step.ends}", line)))
        took_ms = float(found.groupdict().get("ms", 0))
        moments.append(datetime.strptime(found["at"], "%Y-%m-%d %H:%M:%S.%f").astimezone().timestamp() - took_ms / 1000)
    return moments


def picture(figures: Sequence[Figure]) -> str:
    """Return the steps as SVG, one below the other, each from the end of the step before it."""
    steps = [(step, figure.median) for step, figure in zip(STEPS, figures, strict=False)]
    whole = sum(ms for _, ms in steps)
    width, left, row = 860, 330, 30
    scale = (width - left - 80) / whole
    drawn, at = [], 0.0
    for number, (step, ms) in enumerate(steps):
        x, y = left + at * scale, 16 + number * row
        drawn += [
            f'<text x="{left - 12}" y="{y + 14}" text-anchor="end">{step.words}</text>',
            f'<rect x="{x:.1f}" y="{y}" width="{max(2.0, ms * scale):.1f}" height="20" rx="2" fill="{step.color}"/>',
            f'<text x="{x + max(2.0, ms * scale) + 6:.1f}" y="{y + 14}">{ms:.0f} ms</text>',
        ]
        at += ms
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {24 + len(steps) * row}" '
        f'font-family="system-ui, sans-serif" font-size="13" fill="#1f2933">\n'
        f"<title>Where the {whole / 1000:.1f} seconds of a launch go</title>\n"
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n' + "\n".join(drawn) + "\n</svg>\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--picture", type=Path, required=True)
    options = parser.parse_args()
    options.picture.write_text(picture(run_to_end(measure(options.rounds))))


if __name__ == "__main__":
    main()
