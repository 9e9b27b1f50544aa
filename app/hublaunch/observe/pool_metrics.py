"""The metrics of the warm pools."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from ulid import ULID

from hublaunch.launch.model import Event, Launch, Status
from hublaunch.launch.news import Accepted, ClaimFailed, News
from hublaunch.launch.ports import PoolState
from hublaunch.launch.rules.pool import Miss

log = logging.getLogger(__name__)

CLAIM_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10)
_CLAIMS_MAX = 10_000
_SHARED = "Same on all replicas: use max(), not sum()."

_GAUGES: Mapping[str, tuple[str, Callable[[PoolState], float]]] = {
    "pool_wanted": ("Servers that the pool should have ready.", lambda pool: pool.wanted),
    "pool_failures": ("Members that failed to start, in a row.", lambda pool: pool.failures),
    "pool_lost": ("Ready members whose servers were found gone, in the last hour.", lambda pool: pool.lost),
    "pool_wasted_seconds": (
        "Seconds for which members were ready before they were stopped without a claim in the last hour.",
        lambda pool: pool.wasted_s,
    ),
}
"""Gauges read from the database, by the pool: name, help text, value."""
_MEMBERS: Mapping[str, Callable[[PoolState], int]] = {
    "starting": lambda pool: pool.starting,
    "ready": lambda pool: pool.ready,
    "retiring": lambda pool: pool.retiring,
}


class PoolMetrics:
    """Hits and misses of this process, and the state of all pools. Pools have the names that the catalogue gives."""

    def __init__(self, registry: CollectorRegistry, *, read: Callable[[], Awaitable[Sequence[PoolState]]]) -> None:
        """`read` returns the pools with their counts of the last hour. Each `refresh` calls it once."""
        self._read = read
        self._claims: dict[str, None] = {}
        """The launches of this process that have a warm server and are not ready yet, oldest first."""
        self._hits = Counter(
            "pool_hits", "Launches that took over a warm server.", namespace="hublaunch", registry=registry
        )
        misses = Counter(
            "pool_misses",
            "Launches of an image with a warm pool that got no warm server, by the reason. A launch whose warm server "
            "did not answer counts as a hit and as unanswered.",
            ["reason"],
            namespace="hublaunch",
            registry=registry,
        )
        self._misses: Mapping[Miss, Counter] = {reason: misses.labels(reason) for reason in Miss}
        self._claim_s = Histogram(
            "pool_claim_seconds",
            "Time from the request to ready, of launches with a warm server.",
            namespace="hublaunch",
            registry=registry,
            buckets=CLAIM_BUCKETS_S,
        )
        self._members = Gauge(
            "pool_members",
            f"Servers of the pool, by state (starting, ready or retiring). {_SHARED}",
            ["pool", "state"],
            namespace="hublaunch",
            registry=registry,
        )
        self._gauges = {
            Gauge(name, f"{what} {_SHARED}", ["pool"], namespace="hublaunch", registry=registry): value
            for name, (what, value) in _GAUGES.items()
        }

    def on_news(self, news: News) -> None:
        """Count claims and misses in the store's news."""
        match news:
            case Accepted(launch=launch) if not launch.is_member:
                self._count(launch)
            case ClaimFailed(launch_id=launch_id):
                self._claims.pop(launch_id, None)
                self._misses[Miss.UNANSWERED].inc()
            case Event() if news.phase.ends_stream and news.launch_id in self._claims:
                self._claims.pop(news.launch_id, None)
                if news.phase is Status.READY:
                    since_s = news.at.timestamp() - ULID.from_str(news.launch_id).timestamp
                    self._claim_s.observe(max(0.0, since_s))

    def _count(self, launch: Launch) -> None:
        if launch.claimed_from is not None:
            self._hits.inc()
            self._claims[launch.id] = None
            if len(self._claims) > _CLAIMS_MAX:  # those that other processes have adopted end there
                del self._claims[next(iter(self._claims))]
        elif launch.pool_miss is not None:
            self._misses[Miss(launch.pool_miss)].inc()

    async def refresh(self, *, can_read: bool) -> None:
        """Update the gauges. They have no values while the database does not answer (`can_read`)."""
        try:
            pools = await self._read() if can_read else ()
        except Exception:
            log.exception("The warm pools could not be read while Prometheus scraped the metrics")
            pools = ()
        for gauge in (self._members, *self._gauges):
            gauge.clear()
        for pool in pools:
            for gauge, value in self._gauges.items():
                gauge.labels(pool.name).set(value(pool))
            for state, count in _MEMBERS.items():
                self._members.labels(pool.name, state).set(count(pool))
