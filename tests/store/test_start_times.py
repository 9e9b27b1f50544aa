"""The last starts of each image, as the store keeps them."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from hublaunch.launch.model import Launch, LaunchRequest, Stage, Status, Step
from hublaunch.launch.rules.estimate import STARTS_MAX
from hublaunch.launch.rules.guard import Guard
from hublaunch.launch.rules.raw_event import RawEvent
from hublaunch.store import reads
from hublaunch.store.database import transaction_beside_service
from hublaunch.store.sql import SqlLaunchStore
from hublaunch.store.tables import launches
from tests.store.launches import CANCELLED, FAILED, READY, accepted, read_back

OFF = Guard(mode="off", failure_limit=4)
STARTING = Step(phase=Status.LAUNCHING, progress=10, message="Starting", stage=Stage.STARTING)
PULLING = replace(STARTING, message="Pulling image", stage=Stage.PULLING)
PULLING_A_SIDECAR = replace(PULLING, raw_event=RawEvent(message="Pulling image", reason="Pulling", container="proxy"))
DIGEST, OTHER_DIGEST = f"sha256:{'4b' * 32}", f"sha256:{'5c' * 32}"


async def admitted(store: SqlLaunchStore, image: str = "image") -> Launch:
    launch = await accepted(store, request=LaunchRequest(image=image), time_left_s=600)
    await store.queue.admit(most=10_000, weight=lambda _: 1.0, guard=OFF)
    return await read_back(store, launch)


async def started(store: SqlLaunchStore, *steps: Step, image: str = "image", seconds: float = 0) -> Launch:
    """Launch an image, which then takes these seconds to be ready."""
    launch = await admitted(store, image)
    assert launch.admitted_at is not None
    at = launch.admitted_at - timedelta(seconds=seconds)
    move = update(launches).where(launches.c.id == launch.id).values(admitted_at=at)
    await store.sql.writer.run(lambda connection: connection.execute(move).rowcount)
    for step in (STARTING, *steps, READY):
        await store.log.append(launch, step)
    return launch


async def taken(store: SqlLaunchStore, launch: Launch) -> list[float]:
    """Return the last starts of a launch's image in seconds, newest first."""
    return [round(start.seconds) for start in await store.log.starts(launch)]


async def test_a_launch_that_is_ready_tells_how_long_its_start_took(store: SqlLaunchStore) -> None:
    first = await started(store, seconds=40)
    second = await started(store, image="docker.io/library/image:latest", seconds=20)
    other = await started(store, image="other", seconds=7)

    assert await taken(store, first) == await taken(store, second) == [20, 40]
    assert await taken(store, other) == [7]


@pytest.mark.parametrize("end", [FAILED, CANCELLED])
async def test_launches_that_never_were_ready_do_not_count(store: SqlLaunchStore, end: Step) -> None:
    launch = await admitted(store)
    await store.log.append(launch, STARTING)
    await store.log.append(launch, end)

    assert await taken(store, launch) == []


@pytest.mark.parametrize(
    ("steps", "pulled"), [((), False), ((PULLING, STARTING), True), ((PULLING_A_SIDECAR, STARTING), False)]
)
async def test_a_start_pulled_if_its_own_image_was_pulled(
    store: SqlLaunchStore, steps: tuple[Step, ...], pulled: bool
) -> None:
    launch = await started(store, *steps)

    assert [start.pulled for start in await store.log.starts(launch)] == [pulled]
    assert ((await read_back(store, launch)).pulling_at is not None) == pulled


async def test_a_launch_back_in_the_queue_has_not_pulled_yet(store: SqlLaunchStore) -> None:
    launch = await admitted(store)
    await store.log.append(launch, PULLING)
    waiting = Step(phase=Status.WAITING, progress=0, message="The Hub is busy")
    await store.queue.requeue(launch, waiting, time_left_s=60, waits_until=datetime.now(UTC), pause_s=0)

    assert (await read_back(store, launch)).pulling_at is None


async def test_starts_count_by_digest_where_it_is_known(store: SqlLaunchStore) -> None:
    with_digests = []
    for digest in (DIGEST, OTHER_DIGEST):
        launch = await admitted(store)
        await store.log.note_digest(launch, digest, is_pinned=False)
        await store.log.append(launch, STARTING)
        await store.log.append(launch, READY)
        with_digests.append(await read_back(store, launch))
    without = await started(store)

    assert [len(await store.log.starts(launch)) for launch in (*with_digests, without)] == [1, 1, 1]


async def test_only_the_last_fifty_starts_of_an_image_count(store: SqlLaunchStore) -> None:
    other = await started(store, image="other", seconds=5)
    for seconds in range(STARTS_MAX + 3):
        launch = await started(store, seconds=seconds)

    assert await taken(store, launch) == [*range(STARTS_MAX + 2, 2, -1)]
    assert await taken(store, other) == [5]


async def test_starts_are_forgotten_with_their_launches(store: SqlLaunchStore) -> None:
    launch = await started(store)
    await store.upkeep.mark_stopped(launch, stopped_by="caller", clean_in_s=None)
    await store.upkeep.mark_cleaned(launch, launch.attempt)
    kept = await taken(store, launch)

    await store.history.remove_old(older_than_s=-1, limit=10)

    assert (kept, await taken(store, launch)) == ([0], [])


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
async def test_processes_count_each_others_starts(store: SqlLaunchStore, other: SqlLaunchStore) -> None:
    for _ in range(STARTS_MAX // 2 + 2):
        mine, theirs = await asyncio.gather(admitted(store), admitted(other))
        await asyncio.gather(store.log.append(mine, STARTING), other.log.append(theirs, STARTING))
        await asyncio.gather(store.log.append(mine, READY), other.log.append(theirs, READY))

    found = await store.log.starts(mine)

    assert found == await other.log.starts(theirs)
    assert len(found) == STARTS_MAX


def test_starts_of_other_images_and_older_starts_are_not_read(sqlite_url: str) -> None:
    with transaction_beside_service(sqlite_url, writes=False) as connection:
        compiled = reads._STARTS.compile(connection)
        values = compiled.construct_params({"of_image": "image"})
        in_order = tuple(values[name] for name in compiled.positiontup or ())
        plan = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", in_order)]

    assert plan == ["SEARCH start_times USING INDEX ix_start_times_of_image (image=?)"]
