"""Measure the costs of hublaunch as ratios to the floor in one run: `make bench`.

    python -m benchmarks                               # everything, a quarter of an hour and more
    python -m benchmarks library --rounds 9            # one goal, measured more often
    python -m benchmarks --json figures.json

Drivers and the fake Hub are separate processes, all on loopback. Things that are compared are measured in turn, in
another order each round. A bar is missed only if even the lower end of the interval is above it; then the exit code is
1. `docs/performance.md` explains each figure and gives its last values.
"""

import argparse
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import growth, hub_load, idle_pool, launches, start_up, streams, warm, where
from benchmarks.figures import Figure
from tests.support.programs import run_to_end

GOALS: dict[str, Callable[[int], Awaitable[list[Figure]]]] = {
    "library": launches.measure_library,
    "service": launches.measure_service,
    "fan-out": streams.measure_fan_out,
    "latency": streams.measure_latency,
    "growth": growth.measure,
    "hub-load": hub_load.measure,
    "start-up": start_up.measure,
    "where": where.measure,
    "warm": warm.measure,
    "idle-pool": idle_pool.measure,
}


async def measure(goals: list[str], rounds: int) -> list[Figure]:
    console, figures = Console(), list[Figure]()
    for goal in goals:
        began = time.monotonic()
        found = await GOALS[goal](rounds)
        console.print(_table(f"{goal}, {time.monotonic() - began:.0f} s", found))
        figures += found
    return figures


def _table(title: str, figures: list[Figure]) -> Table:
    table = Table(title=title, title_justify="left")
    for column in ("what", "median", "interval", "bar", "verdict", "of"):
        table.add_column(column, overflow="fold")
    for figure in figures:
        low, high = figure.interval
        table.add_row(
            figure.name,
            f"{_short(figure.median)} {figure.unit}",
            f"{_short(low)} to {_short(high)}",
            "" if figure.bar is None else f"{figure.bar:g}",
            figure.verdict,
            figure.detail,
        )
    return table


def _short(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("goals", nargs="*", metavar="GOAL", help=f"{', '.join(GOALS)}; without a GOAL, all")
    parser.add_argument("--rounds", type=int, default=5, help="at least 5, or the intervals say little")
    parser.add_argument("--json", type=Path, help="a file to write the figures to")
    options = parser.parse_args()
    if unknown := set(options.goals) - set(GOALS):
        parser.error(f"no goal is called {', '.join(sorted(unknown))}; there are {', '.join(GOALS)}")
    figures = run_to_end(measure(options.goals or list(GOALS), options.rounds))
    if options.json:
        options.json.write_text(json.dumps([figure.as_json() for figure in figures], indent=1) + "\n")
    return 1 if any(figure.verdict == "missed" for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
