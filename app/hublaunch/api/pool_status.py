"""The warm pools in `GET /status`."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, Field

from hublaunch.launch.ports import Capacity, PoolState
from hublaunch.launch.rules.pool import Miss
from hublaunch.launch.rules.refill_wait import RefillWait


class PoolStatus(BaseModel):
    pool: str = Field(description="The environment of the catalogue, and its size if it has one: `scipy/small`.")
    wanted: int = Field(description="Servers that should be ready now.")
    ready: int = Field(description="Servers that the next launches can take.")
    starting: int
    retiring: int = Field(description="Servers that are being stopped, because they are old or not wanted.")
    waits_for: RefillWait | None = Field(
        description="Why no more servers are started although some are wanted: operator, failures, queue, hub, guard "
        "or places. Null if nothing is in the way. Later releases may add reasons."
    )
    hits: int = Field(description="Launches of the last hour that took a warm server.")
    misses: Mapping[Miss, int] = Field(
        description="Launches of the last hour that could not take a warm server, by the reason."
    )


def pools_report(pools: Sequence[PoolState], capacity: Capacity, shown: Collection[str]) -> Sequence[Mapping[str, Any]]:
    """Return the pools as `PoolStatus` describes them; only those with these names."""
    return [
        {
            "pool": pool.name,
            "wanted": pool.wanted,
            "ready": pool.ready,
            "starting": pool.starting,
            "retiring": pool.retiring,
            "waits_for": pool.waits_for(capacity, now=datetime.now(UTC)),
            "hits": pool.hits,
            "misses": dict(pool.misses),
        }
        for pool in pools
        if pool.name in shown
    ]
