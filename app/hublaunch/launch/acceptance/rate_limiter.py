"""RateLimiter: applies the rate limits of a caller and an address to a request."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase

from hublaunch.launch.caller import Caller
from hublaunch.launch.ports import RateCounts
from hublaunch.launch.rules.networks import groups_of, network
from hublaunch.launch.rules.rate_limit import Levels, Limit, Rate, Verdict, inspect, owe, take

KEYS_MAX = 50_000
"""Limits counted in memory, which take about 10 MB."""
_PRUNE_EVERY_S = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Rates:
    """The configured rates; None means no limit."""

    caller: Rate | None
    """Launches of one Hub user or API key."""
    address: Rate | None
    """Launches from one address."""
    credentials: Rate | None
    """Wrong credentials from one address."""
    own: Mapping[str, Rate | None]
    """Replaces the first two rates for names that match a glob pattern; the first matching pattern applies."""


class RateLimiter:
    """Counts launches by caller and by address, and wrong credentials by address. An IPv6 /64 counts as one address.

    Wider IPv6 networks have limits of their own, a few times that of one address (`networks.py`). Anonymous callers are
    counted by address only.
    """

    def __init__(self, counts: RateCounts, rates: Rates) -> None:
        self._counts = counts
        self._rates = rates

    async def launch(self, caller: Caller, address: str) -> Verdict:
        """Count a request for a launch if the limits allow it, and return their verdict."""
        limits = self._of_place("address", address, lambda place: self._own(place, self._rates.address))
        if caller.kind != "anonymous":
            name = f"{caller.kind}:{caller.key}"
            limits = [*_limit("caller", name, self._own(name, self._rates.caller)), *limits]
        return await self._counts.take(limits)

    async def credentials(self, address: str) -> Verdict:
        """Return whether credentials from this address may be checked, without counting anything."""
        return await self._counts.inspect(self._of_credentials(address))

    async def count_wrong_credentials(self, address: str) -> None:
        """Count wrong credentials from this address, even beyond the limit."""
        await self._counts.owe(self._of_credentials(address))

    async def run(self) -> None:
        """Remove the counts of unused limits, until cancelled."""
        while True:
            await asyncio.sleep(_PRUNE_EVERY_S)
            await self._counts.prune()

    def _of_credentials(self, address: str) -> Sequence[Limit]:
        return self._of_place("credentials", address, lambda _: self._rates.credentials)

    def _own(self, name: str, otherwise: Rate | None) -> Rate | None:
        return next((rate for pattern, rate in self._rates.own.items() if fnmatchcase(name, pattern)), otherwise)

    @staticmethod
    def _of_place(name: str, address: str, rate_of: Callable[[str], Rate | None]) -> Sequence[Limit]:
        """Return the limits of an address and of the wider IPv6 networks around it, which one customer may own."""
        narrowest, *networks = groups_of(f"address:{network(address)}")
        rate = rate_of(narrowest.name)
        limits = _limit(name, narrowest.name, rate)
        for wider in networks:
            several = rate and Rate(rate.most * wider.share, rate.window_s)
            limits += _limit(f"{name}/{wider.name.rpartition('/')[2]}", wider.name, several)
        return limits


def _limit(name: str, subject: str, rate: Rate | None) -> list[Limit]:
    return [] if rate is None else [Limit(name=name, subject=subject, rate=rate)]


class MemoryRateCounts:
    """RateCounts of this process only. Above `keys_max`, the counts unused for longest are dropped."""

    def __init__(self, now: Callable[[], float], *, keys_max: int = KEYS_MAX) -> None:
        """`now` returns the seconds of a monotonic clock."""
        self._now = now
        self._keys_max = keys_max
        self._free_at: OrderedDict[str, timedelta] = OrderedDict()

    async def take(self, limits: Sequence[Limit]) -> Verdict:
        at = self._clock()
        verdict, changed = take(limits, self._levels(limits, at))
        self._keep(changed, at)
        return verdict

    async def inspect(self, limits: Sequence[Limit]) -> Verdict:
        return inspect(limits, self._levels(limits, self._clock()))

    async def owe(self, limits: Sequence[Limit]) -> None:
        at = self._clock()
        self._keep(owe(limits, self._levels(limits, at)), at)

    async def prune(self) -> None:
        at = self._clock()
        self._free_at = OrderedDict((key, free_at) for key, free_at in self._free_at.items() if free_at > at)

    def _levels(self, limits: Sequence[Limit], at: timedelta) -> Levels:
        return {limit.key: self._free_at.get(limit.key, at) - at for limit in limits}

    def _keep(self, changed: Levels, at: timedelta) -> None:
        for key, level in changed.items():
            self._free_at[key] = at + level
            self._free_at.move_to_end(key)
        while len(self._free_at) > self._keys_max:
            self._free_at.popitem(last=False)

    def _clock(self) -> timedelta:
        return timedelta(seconds=self._now())
