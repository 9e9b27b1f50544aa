"""Refill of warm pools in SQL: one transaction decides what to start and what to retire, whichever process runs it."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select

from hublaunch.launch.model import Launch, Status
from hublaunch.launch.ports import PoolState, Refilled, RefillTerms
from hublaunch.launch.rules.estimate import STARTS_NEEDED, quantile
from hublaunch.launch.rules.guard import known_as
from hublaunch.launch.rules.pool import (
    START_UNKNOWN_S,
    Member,
    Plan,
    Pool,
    plan,
    refill_most,
    refill_room,
    share,
    wanted,
)
from hublaunch.launch.rules.quota import Quota, Scope
from hublaunch.store import pool_members, quota_counts, start_times
from hublaunch.store.coordination import now
from hublaunch.store.drain import draining_since
from hublaunch.store.hub_room import HubRoom
from hublaunch.store.ownership import is_newest
from hublaunch.store.pool_states import ORDERS, failures_in_a_row, states
from hublaunch.store.rows import attempt_row, event_row, launch_row
from hublaunch.store.tables import IS_QUEUED, launch_attempts, launch_events, launches

_START_SHARE = 0.9
"""The share of starts that the assumed time of a start must cover."""

_QUEUED = select(func.count()).where(IS_QUEUED)


@dataclass(frozen=True, slots=True)
class Refill:
    """A round of refill: the pools that the catalogue asks for, the operator's limits, and the owner of new members."""

    pools: Sequence[Pool]
    terms: RefillTerms
    new_member: Callable[[Pool, datetime], Launch]
    """Returns a new member that was admitted at this time."""
    owner: str


def refill(connection: Connection, order: Refill) -> Refilled:
    """Start and retire members if this is the newest process. Call this under the lock of admission.

    Processes may have different catalogues for a while, and would retire each other's members. The newest process has
    the catalogue that the operator has rolled out last.
    """
    members = pool_members.active(connection)
    if not (order.pools or members) or not is_newest(connection, order.owner):
        return Refilled(has_members=bool(members))
    at = now(connection)
    pools = _Pools(connection, order.pools, order.terms, members, at)
    plans = pools.plans()
    unwanted = [row.id for row in pools.staying if row.pool not in plans]
    retired = pool_members.retire(connection, [*unwanted, *(each for steps in plans.values() for each in steps.retire)])
    started: list[Launch] = []
    if missing := {key: steps.start for key, steps in plans.items() if steps.start and pools.may_start(key)}:
        room = _Room(connection, order.pools, order.terms, at)
        chosen = _in_turn(missing, room, pools)
        started += [order.new_member(pools.by_key[key], at) for key in chosen]
    if started:
        _insert(connection, started, order.owner)
    return Refilled(started=started, retired=len(retired), has_members=bool(members or started))


def _in_turn(missing: Mapping[str, int], room: "_Room", pools: "_Pools") -> Sequence[str]:
    """Return the keys of the pools that each start one member, as far as there is room.

    The next one is always the pool with the fewest members, so that a pool whose members are taken as fast as they
    start keeps no other pool empty.
    """
    have = Counter(row.pool for row in pools.staying)
    left, chosen = dict(missing), list[str]()
    while left:
        key = min(left, key=lambda key: have[key])
        if room.take(pools.by_key[key]):
            chosen.append(key)
            have[key] += 1
            left[key] -= 1
        else:
            left[key] = 0
        if not left[key]:
            del left[key]
    return chosen


def overview(connection: Connection, pools: Sequence[Pool], terms: RefillTerms, within_s: float) -> Sequence[PoolState]:
    """Return the states of these pools and of all others that had members or launches lately, by name.

    Each state has the wanted members, and whether another one fits now.
    """
    at = now(connection)
    of = _Pools(connection, pools, terms, pool_members.active(connection), at)
    named = {key: pool.name for key, pool in of.by_key.items()}
    found = {state.name: state for state in states(connection, within_s, named)}
    wants = of.shares()
    room: _Room | None = None
    for pool in pools:
        state = found.get(pool.name, PoolState(name=pool.name))
        if of.by_key[str(pool.key)] is pool:
            state = replace(state, wanted=wants[str(pool.key)])
        if state.wanted > state.ready + state.starting:
            room = room or _Room(connection, pools, terms, at)
            state = replace(state, has_room=room.take(pool))
        found[pool.name] = state
    return [found[name] for name in sorted(found)]


class _Pools:
    """The pools of the catalogue by their keys, with their members. Of those with the same key, the first counts."""

    def __init__(
        self,
        connection: Connection,
        pools: Sequence[Pool],
        terms: RefillTerms,
        members: Sequence[Row[Any]],
        at: datetime,
    ) -> None:
        self._connection = connection
        self._terms = terms
        self._members = members
        self._at = at
        self._is_draining = draining_since(connection) is not None
        self._orders = {row.name: row for row in connection.execute(ORDERS)}
        self.by_key = {str(pool.key): pool for pool in reversed(pools)}
        self.staying = [row for row in members if row.cancel_requested_at is None]

    def plans(self) -> Mapping[str, Plan]:
        """Return the plan of each pool."""
        shares = self.shares()
        return {
            key: plan(
                [_member(row) for row in self.staying if row.pool == key],
                wanted=shares[key],
                max_age_s=pool.warm.max_age_s,
                at=self._at,
                start_s=self._start_s(key),
            )
            for key, pool in self.by_key.items()
        }

    def shares(self) -> Mapping[str, int]:
        """Return how many members each pool should have."""
        return share({key: self._wanted(key) for key in self.by_key}, most=self._terms.members_most)

    def may_start(self, key: str) -> bool:
        """Return whether no pause after failed starts is in effect."""
        order = self._order(key)
        failures = failures_in_a_row(self._connection, key, since=order.at if order else None)
        return failures.retry_at is None or failures.retry_at <= self._at

    def _wanted(self, key: str) -> int:
        order = self._order(key)
        if self._is_draining or (order is not None and order.is_drained):
            return 0
        return wanted(
            self.by_key[key].warm,
            at=self._at,
            arrivals_per_s=pool_members.demand(self._connection, key).per_s(self._at),
            start_s=self._start_s(key),
            refill_most=refill_most(self._terms.spawns_most),
        )

    def _order(self, key: str) -> Any:
        """Return the operator's last order for the pool."""
        return self._orders.get(self.by_key[key].name)

    def _start_s(self, key: str) -> float:
        """Return the time in which nine of ten of the pool's last starts were ready."""
        pool = self.by_key[key]
        digest = next((row.image_digest for row in reversed(self._members) if row.pool == key), None)
        kind = start_times.kept_as(pool.request.image, digest), pool.size
        seconds = sorted(took_s for took_s, _ in start_times.last(self._connection, {kind})[kind])
        return quantile(seconds, _START_SHARE) if len(seconds) >= STARTS_NEEDED else START_UNKNOWN_S


class _Room:
    """The places at the Hub that members may take now: none that a person waits for, or that the guard needs."""

    def __init__(self, connection: Connection, pools: Sequence[Pool], terms: RefillTerms, at: datetime) -> None:
        hub = HubRoom.read(connection, terms.guard, {known_as(pool.request.image) for pool in pools})
        self._headroom = hub.headroom(terms.guard, most=terms.spawns_most)
        waiting = connection.execute(_QUEUED).scalar_one()
        self._left = refill_room(refill_most=refill_most(terms.spawns_most), starting=hub.members, waiting=waiting)
        if hub.run.paused_until is not None and hub.run.paused_until > at:
            self._left = 0
        if terms.total is not None:
            all_launches = Quota(scope=Scope.TOTAL, most=terms.total)
            self._left = min(self._left, max(0, terms.total - quota_counts.active(connection, all_launches)))

    def take(self, pool: Pool) -> bool:
        """Take a place for a member of the pool. Return whether there was one."""
        has_taken = self._left > 0 and self._headroom.take_spare(known_as(pool.request.image))
        self._left -= has_taken
        return has_taken


def _member(row: Row[Any]) -> Member:
    return Member(launch_id=row.id, started_at=row.created_at, is_ready=row.status == Status.READY.value)


def _insert(connection: Connection, members: Sequence[Launch], owner: str) -> None:
    """Store new members, which are admitted already."""
    without_key = {"owner": owner, "key_scope": None, "key_request": None}
    connection.execute(insert(launches), [{**launch_row(member), **without_key} for member in members])
    connection.execute(insert(launch_attempts), [attempt_row(one.attempt, one.created_at) for one in members])
    connection.execute(insert(launch_events), [event_row(member.last_event) for member in members])
