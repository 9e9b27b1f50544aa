"""Run a storm of clicks on a Hub with a limit: through hublaunch, and directly at the Hub, side by side.

    python -m tests.storm.run --clicks 500

The fake Hub, hublaunch and the clients are separate processes, all on loopback. hublaunch trusts a proxy, so each
caller has its own address. `tests/storm/verdict.py` defines each column. The run prints a table. The exit status is 1
unless each column that must be zero is 0 for hublaunch.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import aiohttp

from tests.chaos.replicas import Replicas
from tests.chaos.report import findings
from tests.storm.clicks import Click, Scale, Seen, click_hub, click_hublaunch, draw_clicks
from tests.storm.verdict import BAD, Evidence, Verdict, judge
from tests.support.programs import fake_hub, new_database, run_to_end

_NAMES = ("hublaunch", "straight to the Hub")
_SILENCE_S = 60.0
"""Seconds after which a stream without any data, even a heartbeat, counts as broken."""

ClickOn = Callable[[Click, Seen], Awaitable[None]]


async def storm_hublaunch(
    scale: Scale, clicks: Sequence[Click], *, replicas: int, database_url: str, directory: Path
) -> Verdict:
    """Run the storm through hublaunch, on a new Hub. Processes log into `directory`."""
    report = directory / "hub-behind-hublaunch.json"
    async with _session() as http, fake_hub(*_hub_options(scale, report)) as address:
        environment = {
            "LAUNCHER_HUB_URL": address["url"],
            "LAUNCHER_HUB_API_TOKEN": address["token"],
            "LAUNCHER_ALLOWED_IMAGES": "*",
            "LAUNCHER_DATABASE_URL": database_url,
            "LAUNCHER_SECRET_KEY": "storm" * 8,
            "LAUNCHER_TRUSTED_PROXIES": "127.0.0.1",
            "LAUNCHER_MAX_CONCURRENT_SPAWNS": str(scale.max_concurrent_spawns),
            "LAUNCHER_RATE_LIMIT_STORE": "off",  # the storm tests the queue, not the callers
            "LAUNCHER_ANONYMOUS_QUOTA": "0",  # all clicks come from this machine
        }
        async with Replicas(replicas, module="hublaunch.cli", environment=environment, directory=directory) as running:
            await running.until_ready(http)
            urls = [replica.url for replica in running.each]
            seen = await _click(clicks, lambda click, seen: click_hublaunch(click, seen, http, urls))
            ended_at = asyncio.get_running_loop().time()
    return _judged(scale, seen, report, limit=scale.max_concurrent_spawns, ended_at=ended_at)


async def storm_hub(scale: Scale, clicks: Sequence[Click], *, directory: Path) -> Verdict:
    """Run the same storm directly at a new Hub."""
    report = directory / "hub-alone.json"
    async with fake_hub(*_hub_options(scale, report)) as address:
        headers = {"Authorization": f"token {address['token']}"}
        async with _session(base_url=f"{address['api_url']}/", headers=headers) as hub:
            seen = await _click(clicks, lambda click, seen: click_hub(click, seen, hub, scale.naive_pauses_s))
            ended_at = asyncio.get_running_loop().time()
    return _judged(scale, seen, report, limit=scale.hub_limit, ended_at=ended_at)


def _judged(scale: Scale, seen: Sequence[Seen], report: Path, *, limit: int, ended_at: float) -> Verdict:
    told = json.loads(report.read_text())
    return judge(Evidence(seen=seen, report=told, limit=limit, on_the_way_s=scale.on_the_way_s, ended_at=ended_at))


def _hub_options(scale: Scale, report: Path) -> Sequence[str]:
    return [
        *("--spawn-s", str(scale.spawn_s), "--events", "5", "--slow-spawn-timeout", "0"),
        *("--concurrent-spawn-limit", str(scale.hub_limit), "--report", str(report)),
    ]


def _session(base_url: str | None = None, headers: Mapping[str, str] | None = None) -> aiohttp.ClientSession:
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=_SILENCE_S)
    connector = aiohttp.TCPConnector(limit=0)
    return aiohttp.ClientSession(base_url, headers=headers, timeout=timeout, connector=connector)


async def _click(clicks: Sequence[Click], click_on: ClickOn) -> Sequence[Seen]:
    """Return what the visitor of each click saw, once all clicks have ended."""

    async def one(click: Click) -> Seen:
        seen = Seen(click=click)
        await asyncio.sleep(click.at_s)
        seen.clicked_at = asyncio.get_running_loop().time()
        try:
            await click_on(click, seen)
        except aiohttp.ClientResponseError:
            pass  # the status is already noted
        except (aiohttp.ClientError, TimeoutError) as error:
            seen.error = repr(error)
        return seen

    return await asyncio.gather(*map(one, clicks))


# --- the report ------------------------------------------------------------------------------------------------------


def table(verdicts: Sequence[Verdict]) -> str:
    """Return a Markdown table with a line for each column. The columns that must be zero come last."""
    names = dict.fromkeys(name for verdict in verdicts for name in verdict.figures)
    rows = [
        ["", *_NAMES],
        ["---"] * (len(_NAMES) + 1),
        *([name, *(_cell(verdict.figures.get(name)) for verdict in verdicts)] for name in names),
        *([f"**{name}**", *(str(len(verdict.bad[name])) for verdict in verdicts)] for name in BAD),
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


async def _run(seed: int, scale: Scale, *, replicas: int, database_url: str, directory: Path) -> Sequence[Verdict]:
    clicks = draw_clicks(seed, scale)
    through = await storm_hublaunch(scale, clicks, replicas=replicas, database_url=database_url, directory=directory)
    return [through, await storm_hub(scale, clicks, directory=directory)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clicks", type=int, default=Scale.clicks)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--replicas", type=int, default=1, help="processes of hublaunch, for PostgreSQL")
    options = parser.parse_args()
    scale = Scale(clicks=options.clicks)
    with tempfile.TemporaryDirectory() as name, new_database(options.database, Path(name)) as url:
        verdicts = run_to_end(
            _run(options.seed, scale, replicas=options.replicas, database_url=url, directory=Path(name))
        )
    print(table(verdicts), *findings(verdicts[0].bad), sep="\n")
    return 0 if verdicts[0].is_good else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit("Stopped before the end. Nothing is left running.")
