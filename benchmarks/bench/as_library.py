"""Goal 1: `Launcher.launch` as a library, beside bare aiohttp and the peer's engine making the same calls."""

import statistics
from functools import partial

from benchmarks.bench.figures import Figure, pairs
from benchmarks.bench.turns import by_turns, drive

DRIVERS = ("library", "aiohttp", "tornado")


async def measure(rounds: int) -> list[Figure]:
    """CPU, time to ready and memory of 200 and 1,000 launches at once."""
    figures = []
    for launches in (200, 1000):
        outcomes = await by_turns(rounds, {driver: partial(drive, driver, launches) for driver in DRIVERS})
        cpu_ms = {driver: [outcome["cpu_ms"] for outcome in outcomes[driver]] for driver in DRIVERS}
        ready_s = {driver: [statistics.median(o["ready_s"]) for o in outcomes[driver]] for driver in DRIVERS}
        figures += [
            _ratio(f"CPU a launch, {launches} at once, to bare aiohttp", cpu_ms, "library", "aiohttp", bar=1.6),
            _ratio(f"CPU a launch, {launches} at once, to tornado with curl", cpu_ms, "library", "tornado"),
            _ratio(f"time to ready, {launches} at once, to bare aiohttp", ready_s, "library", "aiohttp", bar=1.05),
            _ratio(f"time to ready, {launches} at once, to tornado with curl", ready_s, "library", "tornado"),
        ]
    rss_kb = await by_turns(rounds, {driver: partial(drive, driver, 1000, "--hold") for driver in DRIVERS})
    for driver, bar in (("library", 60.0), ("aiohttp", None), ("tornado", None)):
        values = tuple(outcome["rss_kb"] for outcome in rss_kb[driver])
        figures.append(Figure(goal="1", name=f"memory a launch in flight, {driver}", values=values, unit="KB", bar=bar))
    return figures


def _ratio(name: str, readings: dict[str, list[float]], ours: str, theirs: str, *, bar: float | None = None) -> Figure:
    detail = ", ".join(f"{driver} {statistics.median(readings[driver]):.3g}" for driver in (ours, theirs))
    return Figure(goal="1", name=name, values=pairs(readings[ours], readings[theirs]), bar=bar, detail=detail)
