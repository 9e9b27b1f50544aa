"""The last starts of each image, as the store keeps them, and the estimates from them."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from hublaunch.launch.model import Event, Launch, LaunchRequest, Stage, Status, Step
from hublaunch.launch.rules.estimate import STARTS_MAX, STARTS_NEEDED, Estimate, Start
from hublaunch.launch.rules.guard import Guard
from hublaunch.launch.rules.raw_event import RawEvent
from hublaunch.store import start_times
from hublaunch.store.database import transaction_beside_service
from hublaunch.store.sql import SqlLaunchStore
from hublaunch.store.tables import launches
from tests.store.launches import CANCELLED, FAILED, READY, accepted, read_back

OFF = Guard(mode="off", failure_limit=4)
STARTING = Step(phase=Status.LAUNCHING, progress=10, message="Starting", stage=Stage.STARTING)
PULLING = replace(STARTING, message="Pulling image", stage=Stage.PULLING)
PULLING_A_SIDECAR = replace(PULLING, raw_event=RawEvent(message="Pulling image", reason="Pulling", container="proxy"))
DIGEST, OTHER_DIGEST = f"sha256:{'4b' * 32}", f"sha256:{'5c' * 32}"


async def admitted(store: SqlLaunchStore, image: str = "image", size: str = "") -> Launch:
    launch = await accepted(store, request=LaunchRequest(image=image, size=size), time_left_s=600)
    await store.queue.admit(most=10_000, weight=lambda _: 1.0, guard=OFF)
    return await read_back(store, launch)


async def started(
    store: SqlLaunchStore, *steps: Step, image: str = "image", size: str = "", minutes: float = 0
) -> Launch:
    """Launch an image, which then takes these minutes to be ready."""
    launch = await admitted(store, image, size)
    assert launch.admitted_at is not None
    at = launch.admitted_at - timedelta(minutes=minutes)
    move = update(launches).where(launches.c.id == launch.id).values(admitted_at=at)
    await store.sql.writer.run(lambda connection: connection.execute(move).rowcount)
    for step in (STARTING, *steps, READY):
        await store.log.append(launch, step)
    return launch


async def last_starts(store: SqlLaunchStore, launch: Launch) -> Sequence[Start]:
    """Return the last starts of a launch's image and size, newest first."""
    kind = start_times.kept_as(launch.request.image, launch.image_digest), launch.request.size
    return (await store.sql.read(start_times.last, {kind}))[kind]


async def taken(store: SqlLaunchStore, launch: Launch) -> list[float]:
    """Return the last starts of a launch's image in minutes, newest first."""
    return [round(seconds / 60) for seconds, _ in await last_starts(store, launch)]


def told(event: Event | Launch) -> tuple[int, bool, float | None] | None:
    """Return what an event or a launch says of the usual times: how many, whether only of pulls, and the median."""
    found = event.estimate
    return None if found is None else (found.count, found.of_pulls, round(found.p50_s / 60) if found.is_known else None)


async def test_a_ready_launch_records_how_long_its_start_took(store: SqlLaunchStore) -> None:
    first = await started(store, minutes=40)
    second = await started(store, image="docker.io/library/image:latest", minutes=20)
    other = await started(store, image="other", minutes=7)

    assert await taken(store, first) == await taken(store, second) == [20, 40]
    assert await taken(store, other) == [7]


async def test_starts_count_for_launches_of_their_size(store: SqlLaunchStore) -> None:
    small = await started(store, size="small", minutes=2)
    large = await started(store, size="large", minutes=9)
    neither = await started(store, minutes=4)

    assert [await taken(store, launch) for launch in (small, large, neither)] == [[2], [9], [4]]


@pytest.mark.parametrize("end", [FAILED, CANCELLED])
async def test_launches_that_were_never_ready_do_not_count(store: SqlLaunchStore, end: Step) -> None:
    launch = await admitted(store)
    await store.log.append(launch, STARTING)
    await store.log.append(launch, end)

    assert await taken(store, launch) == []


@pytest.mark.parametrize(
    ("steps", "pulled"), [((), False), ((PULLING, STARTING), True), ((PULLING_A_SIDECAR, STARTING), False)]
)
async def test_a_start_counts_as_a_pull_if_its_own_image_was_pulled(
    store: SqlLaunchStore, steps: tuple[Step, ...], pulled: bool
) -> None:
    launch = await started(store, *steps)

    assert [has_pulled for _, has_pulled in await last_starts(store, launch)] == [pulled]


async def test_the_first_event_at_the_hub_and_the_first_pull_carry_the_estimate(store: SqlLaunchStore) -> None:
    for minutes in (30, 35, 40):
        await started(store, minutes=minutes)
    for minutes in (60, 70, 80, 90, 100):
        await started(store, PULLING, minutes=minutes)
    launch = await admitted(store)
    steps = (STARTING, STARTING, PULLING_A_SIDECAR, PULLING, PULLING, STARTING)

    appended = [await store.log.append(launch, step) for step in steps]

    all_starts, pulls = (8, False, 65), (5, True, 80)
    assert [told(event) for event in appended] == [all_starts, None, None, pulls, None, None]
    assert [told(event) for event in await store.log.events(launch.id, after=1)] == [told(event) for event in appended]
    assert (await read_back(store, launch)).estimate == appended[3].estimate
    assert appended[3].estimate is not None
    assert appended[3].estimate.admitted_at == launch.admitted_at


async def test_a_first_pull_says_that_nothing_is_known_where_too_few_launches_pulled(store: SqlLaunchStore) -> None:
    for minutes in range(STARTS_NEEDED):
        await started(store, minutes=minutes)
    launch = await admitted(store)

    before, after = [await store.log.append(launch, step) for step in (STARTING, PULLING)]

    assert [event.estimate is not None and event.estimate.is_known for event in (before, after)] == [True, False]
    assert (await read_back(store, launch)).estimate == after.estimate


async def test_an_estimate_does_not_change_while_other_launches_end(store: SqlLaunchStore) -> None:
    await asyncio.gather(*(started(store, minutes=40) for _ in range(STARTS_NEEDED)))
    launch = await admitted(store)
    first = await store.log.append(launch, STARTING)
    await started(store, minutes=90)

    assert (await read_back(store, launch)).estimate == first.estimate


async def test_launches_that_are_stored_together_get_their_own_estimates(store: SqlLaunchStore) -> None:
    for minutes in range(STARTS_NEEDED):
        await started(store, image="slow", minutes=minutes + 100)
        await started(store, image="fast", minutes=minutes + 10)
    both = [await admitted(store, image) for image in ("slow", "fast", "new")]

    events = await asyncio.gather(*(store.log.append(launch, STARTING) for launch in both))

    assert [told(event) for event in events] == [(5, False, 102), (5, False, 12), (0, False, None)]


async def test_a_launch_back_in_the_queue_has_no_estimate_and_has_not_pulled(store: SqlLaunchStore) -> None:
    launch = await admitted(store)
    await store.log.append(launch, PULLING)
    waiting = Step(phase=Status.WAITING, progress=0, message="The Hub is busy")
    await store.queue.requeue(launch, waiting, time_left_s=60, waits_until=datetime.now(UTC), pause_s=0)

    queued = await read_back(store, launch)
    await store.queue.admit(most=10_000, weight=lambda _: 1.0, guard=OFF)
    again = await store.log.append(launch, STARTING)

    assert queued.estimate is None
    assert again.estimate == Estimate(
        admitted_at=(await read_back(store, launch)).admitted_at or datetime.now(UTC), of_pulls=False, count=0
    )


async def test_starts_count_by_digest_where_it_is_known(store: SqlLaunchStore) -> None:
    with_digests = []
    for digest in (DIGEST, OTHER_DIGEST):
        launch = await admitted(store)
        await store.log.note_digest(launch, digest, is_pinned=False)
        await store.log.append(launch, STARTING)
        await store.log.append(launch, READY)
        with_digests.append(await read_back(store, launch))
    without = await started(store)

    assert [len(await last_starts(store, launch)) for launch in (*with_digests, without)] == [1, 1, 1]


async def test_only_the_last_fifty_starts_of_an_image_count(store: SqlLaunchStore) -> None:
    other = await started(store, image="other", minutes=5)
    for minutes in range(STARTS_MAX + 3):
        launch = await started(store, minutes=minutes)

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

    found = await last_starts(store, mine)

    assert found == await last_starts(other, theirs)
    assert len(found) == STARTS_MAX


def test_starts_of_other_images_and_older_starts_are_not_read(sqlite_url: str) -> None:
    with transaction_beside_service(sqlite_url, writes=False) as connection:
        compiled = start_times.LAST.compile(connection)
        values = compiled.construct_params({"of_image": "image", "of_size": ""})
        in_order = tuple(values[name] for name in compiled.positiontup or ())
        plan = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", in_order)]

    assert plan == ["SEARCH start_times USING COVERING INDEX ix_start_times_of_image (image=? AND size=?)"]


@pytest.mark.parametrize(
    ("image", "digest", "name"),
    [
        ("jupyter/base:1", None, "docker.io/jupyter/base:1"),
        ("jupyter/base", None, "docker.io/jupyter/base:latest"),
        ("jupyter/base:1", DIGEST, f"docker.io/jupyter/base@{DIGEST}"),
        (f"jupyter/base:1@{DIGEST}", None, f"docker.io/jupyter/base@{DIGEST}"),
    ],
)
def test_an_image_counts_by_its_digest_where_that_is_known(image: str, digest: str | None, name: str) -> None:
    assert start_times.kept_as(image, digest) == name
