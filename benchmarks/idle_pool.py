"""Goal 10: the CPU of a warm pool that nobody uses: the service with the pool, less the service without it.

It pays for checking each waiting server, for reporting it to the Hub as active, and for the rounds of refill.
"""

import asyncio
import statistics
from functools import partial
from typing import Any

from benchmarks.figures import Figure, by_turns
from benchmarks.warm import on_fake_hub
from tests.support.programs import cpu_s

MEMBERS = 100
SETTLE_S = 10
IDLE_S = 60
"""How long the service is watched. Each waiting server is checked once or twice in this time."""


async def measure(rounds: int) -> list[Figure]:
    """Measure the service with the pool and without it, in turn."""
    outcomes = await by_turns(rounds, {"with": partial(_idle, MEMBERS), "without": partial(_idle, 0)})
    used = {way: [outcome["percent"] for outcome in given] for way, given in outcomes.items()}
    return [
        Figure(
            goal="10",
            name=f"CPU of {MEMBERS} warm servers that nobody takes",
            values=tuple(ours - base for ours, base in zip(used["with"], used["without"], strict=True)),
            unit="% of a core",
            bar=1.0,
            detail=f"with {statistics.median(used['with']):.2g} %, without {statistics.median(used['without']):.2g} %",
        )
    ]


async def _idle(keep: int) -> dict[str, Any]:
    """Return the CPU of the service in percent of a core while it keeps this many servers ready."""
    async with on_fake_hub(keep=keep) as (_, pid):
        await asyncio.sleep(SETTLE_S)
        before_s = cpu_s(pid)
        await asyncio.sleep(IDLE_S)
        return {"percent": 100 * (cpu_s(pid) - before_s) / IDLE_S}
