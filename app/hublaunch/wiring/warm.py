"""The warm pools of one process: which launches they can serve, and the keeper of their members."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from hublaunch.binderhub.images import INFORMATIONAL
from hublaunch.launch.acceptance.warm import WarmServers
from hublaunch.launch.course.lease import Leases
from hublaunch.launch.course.pool_keeper import PoolKeeper, PoolTerms
from hublaunch.launch.course.reaper import Reaper
from hublaunch.launch.pace import Pace
from hublaunch.launch.rules.quota_rules import QuotaRules
from hublaunch.settings import Settings
from hublaunch.wiring.parts import Parts
from hublaunch.wiring.pools import PoolKeys, pools_wanted, refill_terms


def warm_servers(settings: Settings, parts: Parts) -> WarmServers:
    """Return the part of acceptance that finds the pool for a request."""
    return WarmServers(
        keys=PoolKeys(settings, parts.files.catalogue).keys,
        pools=parts.store.pools,
        informational=INFORMATIONAL,
    )


@asynccontextmanager
async def keeping_pools(
    settings: Settings,
    parts: Parts,
    *,
    leases: Leases,
    reaper: Reaper,
    quotas: Callable[[], QuotaRules],
    new_id: Callable[[], str],
    pace: Pace,
) -> AsyncGenerator[None]:
    """Keep the warm pools until the context is left."""
    terms = PoolTerms(
        wanted=lambda: pools_wanted(settings, parts.files.catalogue()),
        refill=lambda: refill_terms(settings, total=quotas().total),
        launch_timeout_s=settings.launch_timeout,
        new_id=new_id,
    )
    keeper = PoolKeeper(pools=parts.store.pools, hub=parts.hub, leases=leases, reaper=reaper, terms=terms, pace=pace)
    parts.store.news.subscribe(keeper.on_news)
    async with (
        parts.background.running("pools", keeper.refill),
        parts.background.running("pool_members", keeper.look_after),
    ):
        yield
