"""The warm pools that the catalogue and the settings ask for, and their limits."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from hublaunch.launch.ports import PoolState, RefillTerms
from hublaunch.launch.rules.catalogue import Catalogue
from hublaunch.launch.rules.pool import Pool, PoolKey, pools_of
from hublaunch.settings import Settings
from hublaunch.store.sql import SqlLaunchStore
from hublaunch.wiring.files import Files
from hublaunch.wiring.limits import quotas_of
from hublaunch.wiring.rules import guard_of, warm_obstacles

WITHIN_S = 3600.0
"""The time over which hits, misses and losses are counted for operators."""


def pools_wanted(settings: Settings, catalogue: Catalogue) -> Sequence[Pool]:
    """Return the pools that the catalogue asks for; none if the settings turn them off or make them useless."""
    is_off = settings.max_warm_servers == 0 or warm_obstacles(settings)
    return () if is_off else pools_of(catalogue)


def refill_terms(settings: Settings, *, total: int | None) -> RefillTerms:
    """Return the limits within which members are started. `total`: the quota of all active launches."""
    return RefillTerms(
        guard=guard_of(settings),
        spawns_most=settings.max_concurrent_spawns,
        members_most=settings.max_warm_servers,
        total=total,
    )


@dataclass(slots=True)
class PoolKeys:
    """The keys of the current catalogue's pools, computed once for each version of it."""

    settings: Settings
    catalogue: Callable[[], Catalogue]
    _of: Catalogue | None = field(default=None, init=False)
    _keys: Collection[PoolKey] = field(default=(), init=False)

    def keys(self) -> Collection[PoolKey]:
        """Return the keys of the pools that `pools_wanted` returns."""
        catalogue = self.catalogue()
        if catalogue is not self._of:
            self._of, self._keys = catalogue, frozenset(pool.key for pool in pools_wanted(self.settings, catalogue))
        return self._keys


async def read_pools(settings: Settings, store: SqlLaunchStore, files: Files) -> Sequence[PoolState]:
    """Return the pools as operators see them, with the counts of the last hour."""
    total = quotas_of(settings, files)().total
    pools, terms = pools_wanted(settings, files.catalogue()), refill_terms(settings, total=total)
    return await store.pools.overview(pools, terms, within_s=WITHIN_S)


def known_pools(catalogue: Catalogue) -> Collection[str]:
    """Return the names of the pools whose environments everybody may know."""
    hidden = {each.name for each in catalogue.environments if each.groups}
    return {pool.name for pool in pools_of(catalogue) if pool.environment not in hidden}
