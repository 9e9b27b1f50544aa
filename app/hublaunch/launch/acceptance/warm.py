"""WarmServers: whether a warm server could serve a request."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from hublaunch.launch.model import LaunchRequest
from hublaunch.launch.ports import Pools
from hublaunch.launch.rules.pool import Miss, PoolKey, match


@dataclass(frozen=True, kw_only=True, slots=True)
class WarmLook:
    """The warm pool that could serve a launch, or why none can."""

    pool: str | None = None
    """The key of the pool; None if no pool has the launch's image."""
    miss: str | None = None
    """Why it does not serve the launch, whatever members it has."""
    has_free: bool = False
    """Whether a member was ready a moment ago. Only the store's acceptance knows whether the launch gets one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WarmServers:
    """Finds the pool for a request."""

    keys: Callable[[], Collection[PoolKey]]
    """Returns the keys of all pools, which the operator may change while the service runs."""
    pools: Pools
    informational: Collection[str]
    """The keys of `extra_args` that no spawner acts on."""

    async def look(self, request: LaunchRequest, *, creates_user: bool) -> WarmLook:
        """Return the pool that could serve a resolved request. Without pools, the store is not asked."""
        keys = self.keys()
        found = match(request, keys, creates_user=creates_user, informational=self.informational) if keys else None
        if found is None:
            return WarmLook()
        if isinstance(found, Miss):
            image = PoolKey.of(request).image
            return WarmLook(pool=str(next(key for key in keys if key.image == image)), miss=found.value)
        return WarmLook(pool=str(found), has_free=await self.pools.has_free(str(found)))
