"""`hublaunch pool`: show, drain and fill the warm pools while the service runs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from hublaunch.files.catalogue import read_catalogue
from hublaunch.files.limits import read_limits
from hublaunch.launch.errors import InvalidRequest
from hublaunch.launch.ports import PoolState
from hublaunch.launch.rules.catalogue import Catalogue
from hublaunch.launch.rules.refill_wait import RefillWait
from hublaunch.settings import Settings, load_settings
from hublaunch.store import pool_members, pool_refill, pool_states
from hublaunch.store.database import transaction_beside_service
from hublaunch.store.queue import capacity
from hublaunch.wiring.pools import WITHIN_S, pools_wanted, refill_terms
from hublaunch.wiring.rules import guard_of

HEADINGS = ("POOL", "WANTED", "READY", "STARTING", "RETIRING", "HITS", "MISSES", "LOST", "WASTED", "REFILL")

_WAITS: dict[RefillWait, str] = {
    RefillWait.OPERATOR: "drained by an operator",
    RefillWait.FAILURES: "waits: {failures} failed starts in a row",
    RefillWait.QUEUE: "waits for launches in the queue",
    RefillWait.HUB: "waits for JupyterHub, which is at its limit",
    RefillWait.GUARD: "waits for the Hub guard",
    RefillWait.PLACES: "waits for a place to start a server",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolView:
    """A pool, and what its refill waits for."""

    state: PoolState
    waits_for: RefillWait | None


def read_pools() -> Sequence[PoolView]:
    """Return the warm pools, by name. Raises SettingsFault, FileFault or StoreError."""
    settings = load_settings()
    total = None if settings.limits_file is None else read_limits(settings.limits_file).total
    pools, terms = pools_wanted(settings, _catalogue(settings)), refill_terms(settings, total=total)
    with transaction_beside_service(settings.database_url, writes=False) as connection:
        states = pool_refill.overview(connection, pools, terms, WITHIN_S)
        now = capacity(connection, guard_of(settings), settings.max_concurrent_spawns)
    at = datetime.now(UTC)
    return [PoolView(state=state, waits_for=state.waits_for(now, now=at)) for state in states]


def drain_pool(name: str) -> int:
    """Retire the members of a pool, and start no others. Return how many. Raises as `fill_pool`."""
    settings = load_settings()
    with transaction_beside_service(settings.database_url, writes=True) as connection:
        return pool_members.drain(connection, _known(connection, settings, name))


def fill_pool(name: str) -> None:
    """End a drain, and start members at once even if starts have failed.

    Raises InvalidRequest for an unknown name, SettingsFault, FileFault or StoreError.
    """
    settings = load_settings()
    with transaction_beside_service(settings.database_url, writes=True) as connection:
        pool_members.order(connection, _known(connection, settings, name), is_drained=False)


def _known(connection: Connection, settings: Settings, name: str) -> str:
    known = {pool.name for pool in pools_wanted(settings, _catalogue(settings))}
    known.update(state.name for state in pool_states.states(connection, 0, {}))
    if name not in known:
        there = ", ".join(sorted(known)) or "none"
        raise InvalidRequest("pool", f"there is no warm pool of this name. The pools are: {there}")
    return name


def _catalogue(settings: Settings) -> Catalogue:
    return Catalogue() if settings.catalogue_file is None else read_catalogue(settings.catalogue_file)


def pool_rows(views: Sequence[PoolView]) -> Iterator[Sequence[str]]:
    """Yield the pools in words, in the order of `HEADINGS`."""
    for view in views:
        state = view.state
        misses = ", ".join(f"{count} {reason}" for reason, count in sorted(state.misses.items()))
        numbers = (state.wanted, state.ready, state.starting, state.retiring, state.hits)
        refill = "-" if view.waits_for is None else _WAITS[view.waits_for].format(failures=state.failures)
        yield state.name, *map(str, numbers), misses or "0", str(state.lost), f"{state.wasted_s:.0f} s", refill


def pools_json(views: Sequence[PoolView]) -> Sequence[dict[str, Any]]:
    """Return the pools as JSON objects. Hits, misses, losses and wasted seconds are those of the last hour."""
    return [
        {
            "pool": view.state.name,
            "wanted": view.state.wanted,
            "ready": view.state.ready,
            "starting": view.state.starting,
            "retiring": view.state.retiring,
            "hits": view.state.hits,
            "misses": dict(view.state.misses),
            "lost": view.state.lost,
            "wasted_s": round(view.state.wasted_s, 1),
            "failures": view.state.failures,
            "is_drained": view.state.is_drained,
            "waits_for": view.waits_for,
        }
        for view in views
    ]
