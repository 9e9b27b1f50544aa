"""The warm pool: which launches it can serve, how many servers it keeps ready, and which of them it replaces."""

import json
import math
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Self, TypeVar

from hublaunch.launch.model import Content, LaunchRequest
from hublaunch.launch.rules.catalogue import Catalogue
from hublaunch.launch.rules.guard import known_as
from hublaunch.launch.rules.warm import Warm

HALF_LIFE_S = 900.0
"""The time after which an arrival counts for half."""
START_UNKNOWN_S = 60.0
"""The duration of a start that is assumed while too few are known for an estimate."""
_BACKOFF_LEAST_S, _BACKOFF_MOST_S = 10.0, 600.0
_SHARE_OF_SPAWNS = 4
"""Refill uses at most one of this many places at the Hub."""
_REPLACED_FROM, _REPLACED_BY = 0.5, 0.9
"""The fractions of its maximum age at which a member's replacement starts: earliest and latest."""

K = TypeVar("K", bound=Hashable)


class Miss(StrEnum):
    """Why a launch of an image with a warm pool got no warm server. Each is a value of a metric's label."""

    EMPTY = "empty"  # no member was ready
    ACCOUNT = "account"  # the launch is on an existing account
    OPTIONS = "options"  # its extra_args reach the spawner
    SIZE = "size"  # the pool keeps other sizes
    CONTENT = "content"  # the spawner fetches its repository
    DIGEST = "digest"  # the members run an older image of the same tag
    UNANSWERED = "unanswered"  # members were ready, but did not answer


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolKey:
    """Everything that a server's start fixes: members of a pool serve exactly the launches with the pool's key.

    Digests are compared separately (`may_serve`), because a launch's digest may be unknown.
    """

    image: str
    """The image by its full name, with a digest if the reference has one (`known_as`)."""
    size: str
    """The name of the size; `""` without one."""
    options: str
    """A hash of the size's `user_options`, so that members of a changed size serve nobody."""

    @classmethod
    def of(cls, request: LaunchRequest) -> Self:
        """Return the key of a request that the catalogue has resolved."""
        options = json.dumps(request.size_options, sort_keys=True, separators=(",", ":"))
        return cls(
            image=known_as(request.image),
            size=request.size,
            options=sha256(options.encode()).hexdigest()[:16],
        )

    def __str__(self) -> str:
        """The key as one line for the database."""
        return f"{self.image} {self.size or '-'} {self.options}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Pool:
    """A pool that the catalogue asks for: the servers of one environment and size."""

    environment: str
    size: str
    """`""` if the environment has no sizes."""
    key: PoolKey
    request: LaunchRequest
    """The request of its members."""
    warm: Warm

    @property
    def name(self) -> str:
        """Its name for operators: the environment, and the size if it has one."""
        return f"{self.environment}/{self.size}" if self.size else self.environment


def pools_of(catalogue: Catalogue) -> Sequence[Pool]:
    """Return the pools that the catalogue asks for, including those that keep no server at present."""
    pools = []
    for environment in catalogue.environments:
        if environment.warm is None:
            continue
        base = LaunchRequest(image=environment.image, environment=environment.name)
        options = {size.name: size.user_options for size in environment.sizes}
        for size in environment.warm.sizes or ("",):
            request = replace(base, size=size, size_options=options.get(size, {}))
            pools.append(
                Pool(
                    environment=environment.name,
                    size=size,
                    key=PoolKey.of(request),
                    request=request,
                    warm=environment.warm,
                )
            )
    return pools


# --- which launches it serves -----------------------------------------------------------------------------------------


def match(
    request: LaunchRequest, keys: Collection[PoolKey], *, creates_user: bool, informational: Collection[str]
) -> PoolKey | Miss | None:
    """Return the key of the pool that may serve the request; or why none may; None if no pool has its image.

    `keys`: of all pools. `creates_user`: whether the launch gets a temporary user. `informational`: the keys of
    `extra_args` that no spawner acts on.
    """
    key = PoolKey.of(request)
    if not any(each.image == key.image for each in keys):
        return None
    if not creates_user:
        return Miss.ACCOUNT
    if request.content is Content.SPAWNER:
        return Miss.CONTENT
    if not request.extra_args.keys() <= set(informational):
        return Miss.OPTIONS
    return key if key in keys else Miss.SIZE


def may_serve(member_digest: str | None, launch_digest: str | None) -> bool:
    """Return whether a member runs the image that a launch of the same key means. An unknown digest matches any."""
    return None in (member_digest, launch_digest) or member_digest == launch_digest


# --- how many servers it keeps ----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Demand:
    """The launches that a pool has served or should have served. After `HALF_LIFE_S`, one counts for half."""

    count: float = 0.0
    at: datetime
    """When the count was taken. It halves with each half-life since then."""

    def arrived(self, at: datetime, launches: int = 1) -> Self:
        """Return the demand with these arrivals."""
        return type(self)(count=self._left(at) + launches, at=max(at, self.at))

    def per_s(self, at: datetime) -> float:
        """Return the recent arrivals per second. After a long constant rate, it is that rate."""
        return self._left(at) * math.log(2) / HALF_LIFE_S

    def _left(self, at: datetime) -> float:
        return self.count * math.exp2(-max(0.0, (at - self.at).total_seconds()) / HALF_LIFE_S)


def wanted(warm: Warm, *, at: datetime, arrivals_per_s: float, start_s: float, refill_most: int) -> int:
    """Return how many members a pool should have at this time.

    `start_s`: the time within which nine of ten servers start. `refill_most`: the result of that function.
    Demand raises the number only while a window is open or `keep` is above 0, so `keep: 0` empties a pool.
    """
    floor = warm.floor(at, fill_s=lambda count: fill_s(count, start_s=start_s, refill_most=refill_most))
    if floor == 0:
        return 0
    during_a_start = arrivals_per_s * start_s
    return max(floor, min(math.ceil(during_a_start + math.sqrt(during_a_start)), warm.most))


def fill_s(count: int, *, start_s: float, refill_most: int) -> float:
    """Return how many seconds it takes to start this many members, with one start to spare."""
    return start_s * (math.ceil(count / refill_most) + 1) if count else 0.0


def refill_most(max_concurrent_spawns: int) -> int:
    """Return how many members of all pools may start at once."""
    return max(1, max_concurrent_spawns // _SHARE_OF_SPAWNS)


def share(wanted_by: Mapping[K, int], *, most: int) -> Mapping[K, int]:
    """Return how many members each pool gets if all together may have `most`.

    Each pool gets as many as the others, unless it wants fewer.
    """
    given = dict.fromkeys(wanted_by, 0)
    hungry = [key for key, count in wanted_by.items() if count > 0]
    while hungry and most > 0:
        each = max(1, most // len(hungry))
        for key in hungry[: most if each == 1 else None]:
            taken = min(each, wanted_by[key] - given[key])
            given[key] += taken
            most -= taken
        hungry = [key for key in hungry if given[key] < wanted_by[key]]
    return given


# --- which members it starts and retires ------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A member that is neither claimed nor being retired."""

    launch_id: str
    started_at: datetime
    """When its server was asked for. Its age counts from then."""
    is_ready: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """The next steps of a pool."""

    start: int
    """How many members to start."""
    retire: tuple[str, ...]
    """The ids of the members to retire, oldest first."""


def plan(members: Collection[Member], *, wanted: int, max_age_s: float, at: datetime, start_s: float) -> Plan:
    """Return which members to start and to retire, so that `wanted` are ready and none waits past `max_age_s`.

    A member that gets old is replaced first: it stays until enough younger ones are ready, or until its time is up. If
    more members are ready than are wanted, the oldest go at once. A start is only given up if no member is wanted:
    before JupyterHub 5.1, such a start may count as failed.
    """
    in_order = sorted(members, key=lambda each: (each.started_at, each.launch_id))
    if wanted <= 0:
        return Plan(start=0, retire=tuple(each.launch_id for each in in_order))
    starting = sum(not each.is_ready for each in in_order)
    ready = [each for each in in_order if each.is_ready]
    expired = sum(each.started_at <= at - timedelta(seconds=max_age_s) for each in ready)
    young = sum(each.started_at > at - timedelta(seconds=_replaced_s(max_age_s, start_s)) for each in ready)
    retired = ready[: max(expired, len(ready) - wanted)]
    return Plan(start=max(0, wanted - young - starting), retire=tuple(each.launch_id for each in retired))


def _replaced_s(max_age_s: float, start_s: float) -> float:
    """Return the age at which a member's replacement starts: two starts before its time is up, within bounds."""
    return min(max(max_age_s - 2 * start_s, max_age_s * _REPLACED_FROM), max_age_s * _REPLACED_BY)


def refill_room(*, refill_most: int, starting: int, waiting: int) -> int:
    """Return how many members of all pools may start now. `waiting`: launches in the queue, which come first."""
    return 0 if waiting else max(0, refill_most - starting)


def backoff_s(failures: int) -> float:
    """Return the seconds until a pool may start a member again, after this many failed starts in a row."""
    if failures <= 0:
        return 0.0
    return min(_BACKOFF_MOST_S, math.ldexp(_BACKOFF_LEAST_S, min(failures - 1, 10)))
