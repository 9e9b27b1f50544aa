"""Rate limits, joined from the settings: how often what may be asked for, and where that is counted."""

import asyncio

from hublaunch.launch.acceptance.rate_limiter import MemoryRateCounts, RateLimiter, Rates
from hublaunch.launch.rules.rate_limit import Rate
from hublaunch.settings import Settings
from hublaunch.store.sql import SqlLaunchStore


def open_limiter(settings: Settings, store: SqlLaunchStore) -> RateLimiter:
    """The limits that these settings set; those of a database last as long as the store is open."""
    in_database = settings.rate_limit_store == "database"
    counts = store.rate_counts if in_database else MemoryRateCounts(asyncio.get_running_loop().time)
    if settings.rate_limit_store == "off":
        return RateLimiter(counts, Rates(caller=None, address=None, credentials=None, own={}))
    rates = Rates(
        caller=_rate(settings.rate_limit_caller),
        address=_rate(settings.rate_limit_address),
        credentials=_rate(settings.rate_limit_credentials),
        own={pattern: _rate(rate) for pattern, rate in settings.rate_limits.items()},
    )
    return RateLimiter(counts, rates)


def _rate(setting: tuple[int, int] | None) -> Rate | None:
    return None if setting is None else Rate(*setting)
