"""A catalogue with a warm pool, and waiting for its members."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import update
from ulid import ULID

from hublaunch.files.catalogue import CatalogueFile
from hublaunch.launch.acceptance.account import temporary_user
from hublaunch.launch.caller import Caller
from hublaunch.launch.model import Event, Launch, LaunchRequest, Status, Step
from hublaunch.launch.ports import PoolState, Refilled, RefillTerms
from hublaunch.launch.rules.guard import Guard
from hublaunch.launch.rules.pool import Pool, PoolKey
from hublaunch.launch.rules.warm import Warm
from hublaunch.store.sql import SqlLaunchStore
from hublaunch.store.tables import launches
from tests.store.launches import new_launch

IMAGE = "quay.io/org/scipy:1"
_TEXT = """
environments:
  scipy: {title: SciPy, image: %s, content: nbgitpuller, open: lab, warm: %s}
  other: {title: Other, image: quay.io/org/other:1}
"""


REQUEST = LaunchRequest(image=IMAGE, environment="scipy")
POOL_KEY = str(PoolKey.of(REQUEST))
TERMS = RefillTerms(guard=Guard(mode="off", failure_limit=4), spawns_most=400, members_most=1000, total=None)
_READY = Step(phase=Status.READY, progress=100, message="The server is ready", url="https://hub.example.org/user/a/")


def pool(keep: int, **changes: Any) -> Pool:
    """Return a pool that keeps this many members."""
    warm = Warm(keep=keep, most=max(keep, 1), max_age_s=3600)
    return Pool(environment="scipy", size="", key=PoolKey.of(REQUEST), request=REQUEST, warm=replace(warm, **changes))


def new_member(of_pool: Pool, at: datetime) -> Launch:
    """Return a member as the keeper of the pools makes it."""
    launch_id = str(ULID())
    first = Event(
        launch_id=launch_id, seq=1, at=at, attempt=1, phase=Status.WAITING, progress=0, message="Started for a pool"
    )
    return Launch(
        id=launch_id,
        caller=Caller(kind="pool", key=of_pool.environment),
        request=of_pool.request,
        status=Status.WAITING,
        created_at=at,
        admitted_at=at,
        deadline_at=at + timedelta(seconds=600),
        attempt=temporary_user(launch_id, 1, of_pool.request),
        last_event=first,
        pool=str(of_pool.key),
    )


def wanting(**changes: Any) -> Launch:
    """Return a launch that a member can serve."""
    return new_launch(request=REQUEST, pool=POOL_KEY, **changes)


async def change(store: SqlLaunchStore, launch: Launch, **columns: object) -> None:
    """Change the launch behind the back of the store."""
    with store.database.writing.begin() as connection:
        connection.execute(update(launches).where(launches.c.id == launch.id).values(**columns))


async def refill(store: SqlLaunchStore, keep: int, *, terms: RefillTerms = TERMS, **changes: Any) -> Refilled:
    """Start and retire the members of a pool that keeps this many."""
    return await store.pools.refill([pool(keep, **changes)], terms, new_member=new_member)


async def ready_members(store: SqlLaunchStore, number: int) -> Sequence[Launch]:
    """Return new members of the pool, which are ready, oldest first."""
    state = await pool_of(store)
    started = (await refill(store, state.starting + state.ready + number)).started
    members = sorted(started, key=lambda member: member.id)
    for member in members:
        await make_ready(store, member)
    return members


async def make_ready(store: SqlLaunchStore, member: Launch) -> None:
    """Record that the member's server is ready."""
    await store.log.append(member, Step(phase=Status.LAUNCHING, progress=0, message="Asking"))
    await store.log.append(member, _READY)


def write_warm(path: Path, warm: str, *, image: str = IMAGE) -> None:
    """Write the catalogue with this block `warm`."""
    path.write_text(_TEXT % (image, warm))


def warm_catalogue(directory: Path, warm: str = "{keep: 1}") -> CatalogueFile:
    """Return a catalogue whose environment `scipy` has a warm pool."""
    path = directory / "catalogue.yaml"
    write_warm(path, warm)
    return CatalogueFile(path)


async def pool_of(store: SqlLaunchStore) -> PoolState:
    """Return the state of the pool, even before it has had any member."""
    found = await store.pools.states(within_s=3600)
    return found[0] if found else PoolState(name="scipy")


async def until_ready(store: SqlLaunchStore, number: int) -> PoolState:
    """Return once the pool has this many ready members."""
    async with asyncio.timeout(10):
        while (state := await pool_of(store)).ready != number:
            pass
    return state
