"""Quotas and rate limits, read from the settings and the limits file."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from hublaunch.launch.acceptance.rate_limiter import MemoryRateCounts, RateLimiter, Rates
from hublaunch.launch.rules.quota import Scope
from hublaunch.launch.rules.quota_rules import QuotaRules, Rule
from hublaunch.launch.rules.rate_limit import Rate
from hublaunch.settings import Settings
from hublaunch.store.sql import SqlLaunchStore
from hublaunch.wiring.files import Files


def quotas_of(settings: Settings, files: Files) -> Callable[[], QuotaRules]:
    """Return a function that returns the current quotas: the file's, the one for anonymous callers, those of sizes."""
    most = settings.anonymous_quota
    last = ((Scope.CALLER, Rule.parse(Scope.CALLER, "anonymous:*", most=most)),) if most else ()

    def quotas() -> QuotaRules:
        of_file = files.limits.content if files.limits is not None else QuotaRules()
        return replace(of_file, rules=(*of_file.rules, *last, *files.catalogue().quota_rules))

    return quotas


def open_limiter(settings: Settings, store: SqlLaunchStore) -> RateLimiter:
    """Return the rate limits; those counted in the database work while the store is open."""
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
