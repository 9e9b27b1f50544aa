"""Ownership of launches: leases, adoption and fences."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select
from sqlalchemy.event import listens_for

from hublaunch.hub.client import HubClient
from hublaunch.launch.course.lease import READ_MAX
from hublaunch.launch.model import Status
from hublaunch.launch.news import LogGrew
from hublaunch.launch.ports import LeaseLost
from hublaunch.sealing import Sealer
from hublaunch.store.sql import SqlLaunchStore
from hublaunch.store.tables import launch_owners
from tests.fakes.hub import FakeHub
from tests.store.databases import postgresql_only, sqlite_only
from tests.store.launches import (
    CANCELLED,
    FAILED,
    PULLING,
    READY,
    accepted,
    listening,
    new_launch,
    ready_launch,
    second_attempt,
)
from tests.support.launching import launching

LONG_S, GONE_S = 600, 0
"""A lease that lasts for the test, and a lease that runs out immediately."""


async def ids_to_take_over(url: str, sealer: Sealer) -> list[str]:
    """Return the ids of the launches that the next process adopts."""
    async with SqlLaunchStore(url, sealer=sealer) as store:
        return [launch.id for launch in await store.ownership.adopt(limit=100)]


async def test_launches_in_progress_or_due_for_clean_up_are_adopted(url: str, sealer: Sealer) -> None:
    async with SqlLaunchStore(url, sealer=sealer) as store:
        waiting, launching, failed = [await accepted(store) for _ in range(3)]
        await store.log.append(launching, PULLING)
        await store.upkeep.mark_cleaned(launching, launching.attempt)
        await store.log.append(failed, FAILED)
        cancelled_when_ready = await ready_launch(store)
        await store.ownership.request_cancel(cancelled_when_ready.id)
        await store.upkeep.mark_cleaned(cancelled_when_ready, cancelled_when_ready.attempt)
        await store.ownership.release()

    expected = sorted(launch.id for launch in (waiting, launching, failed, cancelled_when_ready))
    assert await ids_to_take_over(url, sealer) == expected


async def test_ready_launches_and_clean_ones_are_not_adopted(url: str, sealer: Sealer) -> None:
    async with SqlLaunchStore(url, sealer=sealer) as store:
        await ready_launch(store)
        failed, cancelled, stopped = await accepted(store), await accepted(store), await ready_launch(store)
        await store.log.append(failed, FAILED)
        await store.ownership.request_cancel(cancelled.id)
        await store.log.append(cancelled, CANCELLED)
        await store.upkeep.mark_stopped(stopped, stopped_by="hub", clean_in_s=60)
        for launch in (failed, cancelled):
            await store.upkeep.mark_cleaned(launch, launch.attempt)
        await store.ownership.release()

    assert await ids_to_take_over(url, sealer) == []


async def test_a_cleaned_attempt_can_become_due_again(store: SqlLaunchStore) -> None:
    launch = await accepted(store)

    await store.upkeep.mark_cleaned(launch, launch.attempt, again_in_s=0)
    await store.log.begin_attempt(launch, second_attempt(launch))
    await store.log.append(launch, PULLING)
    await store.log.append(launch, READY)

    assert [attempt.number for attempt in await store.upkeep.due(launch.id)] == [1]
    (taken,) = await store.ownership.adopt(limit=9)
    await store.upkeep.mark_cleaned(taken, launch.attempt)
    assert await store.upkeep.due(launch.id) == []
    assert await store.ownership.adopt(limit=9) == []


async def test_a_stopped_launch_is_due_for_clean_up_after_the_given_time(store: SqlLaunchStore) -> None:
    now, later = await ready_launch(store), await ready_launch(store)

    await store.upkeep.mark_stopped(now, stopped_by="hub", clean_in_s=0)
    await store.upkeep.mark_stopped(later, stopped_by="hub", clean_in_s=3600)

    assert [attempt.launch_id for attempt in await store.upkeep.due(now.id)] == [now.id]
    assert await store.upkeep.due(later.id) == []


async def test_only_attempts_that_the_launch_no_longer_relies_on_are_cleaned_up_again(store: SqlLaunchStore) -> None:
    in_progress, failed = await accepted(store), await accepted(store)
    await store.upkeep.mark_cleaned(in_progress, in_progress.attempt)
    await store.log.begin_attempt(in_progress, second_attempt(in_progress))
    await store.log.append(failed, FAILED)
    await store.upkeep.mark_cleaned(failed, failed.attempt)

    await store.ownership.clean_up_again(in_progress.id)
    await store.ownership.clean_up_again(failed.id)

    assert [attempt.number for attempt in await store.upkeep.due(in_progress.id)] == [1]
    assert [attempt.number for attempt in await store.upkeep.due(failed.id)] == [1]


async def test_the_former_owner_of_an_adopted_launch_cannot_write_to_it(url: str, sealer: Sealer) -> None:
    async with SqlLaunchStore(url, sealer=sealer) as store:
        launch = await accepted(store)
        await store.ownership.release()
    async with SqlLaunchStore(url, sealer=sealer) as store:
        (taken,) = await store.ownership.adopt(limit=9)

        with pytest.raises(LeaseLost):
            await store.log.append(launch, PULLING)
        with pytest.raises(LeaseLost):
            await store.log.begin_attempt(launch, second_attempt(launch))
        with pytest.raises(LeaseLost):
            await store.upkeep.mark_cleaned(launch, launch.attempt)
        await store.log.append(taken, PULLING)
        await store.log.append(taken, READY)
        with pytest.raises(LeaseLost):
            await store.upkeep.mark_stopped(launch, stopped_by="hub", clean_in_s=None)

        assert taken.fence == 2
        assert [event.phase for event in await store.log.events(launch.id, after=0)] == [
            Status.WAITING,
            Status.LAUNCHING,
            Status.READY,
        ]


async def test_a_late_process_keeps_launches_that_nobody_adopted(url: str, sealer: Sealer) -> None:
    async with SqlLaunchStore(url, sealer=sealer, lease_s=GONE_S) as late:
        launch = await accepted(late)

        assert await late.ownership.adopt(limit=9) == []

        assert [held.launch_id for held in await late.ownership.renew()] == [launch.id]
        assert (await late.log.append(launch, PULLING)).seq == 2


@postgresql_only
async def test_simultaneous_adoptions_give_one_owner_each(url: str, sealer: Sealer, other: SqlLaunchStore) -> None:
    async with SqlLaunchStore(url, sealer=sealer, lease_s=GONE_S) as dead:
        launches = [await accepted(dead) for _ in range(40)]
        async with SqlLaunchStore(url, sealer=sealer, lease_s=LONG_S) as third:
            taken = await asyncio.gather(
                *(store.ownership.adopt(limit=5) for _ in range(8) for store in (other, third))
            )

    ids = [launch.id for launches in taken for launch in launches]
    assert sorted(ids) == sorted(launch.id for launch in launches)


@postgresql_only
async def test_writes_of_other_processes_are_published(url: str, sealer: Sealer, store: SqlLaunchStore) -> None:
    async with listening(url, sealer) as (told, work):
        launch = await accepted(store)

        await store.log.append(launch, PULLING)
        assert await told.get() == LogGrew(launch_id=launch.id, seq=2)
        await store.ownership.request_cancel(launch.id)
        await work.wait()


@postgresql_only
async def test_an_expired_owner_is_removed_at_an_adoption(url: str, sealer: Sealer, other: SqlLaunchStore) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=2)
    with other.database.writing.begin() as connection:
        connection.execute(insert(launch_owners), {"id": "dead", "leased_until": long_ago})

    async with SqlLaunchStore(url, sealer=sealer) as third:
        await third.ownership.adopt(limit=1)
        with other.database.reading.connect() as connection:
            owners = set(connection.execute(select(launch_owners.c.id)).scalars())

    assert len(owners) == 2
    assert "dead" not in owners


@sqlite_only
async def test_finding_the_launches_of_a_process_reads_no_history(store: SqlLaunchStore) -> None:
    from hublaunch.store.ownership import _HELD

    sql = str(_HELD.compile(store.database.reading)).replace("?", "''")

    with store.database.reading.connect() as connection:
        plan = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}")]

    indexes = ("ix_launches_under_way", "ix_launches_ready", "ix_launch_attempts_clean_at")
    read = [line for line in plan if line.startswith(("SCAN", "SEARCH")) and any(index in line for index in indexes)]
    assert len(read) == 3
    assert not [line for line in plan if line.startswith("SCAN") and "ix_" not in line]


async def test_launches_without_a_task_are_read_together(
    store: SqlLaunchStore, hub: FakeHub, client: HubClient
) -> None:
    """A process that was frozen or busy has hundreds of them, and must continue them within a lease."""
    launches = [await accepted(store) for _ in range(2 * READ_MAX + 1)]
    reads: list[str] = []

    @listens_for(store.database.reading, "before_cursor_execute")
    def note(*given: Any) -> None:
        if "WHERE launches.id " in given[2]:
            reads.append(given[2])

    async with asyncio.timeout(60), launching(hub, client, store, max_concurrent_spawns=0) as core:
        while len(core.leases._runs) < len(launches):  # noqa: ASYNC110 - no event says so
            await asyncio.sleep(0)

    assert len(reads) == 3


async def test_many_launches_are_read_at_once_without_unknown_ones(store: SqlLaunchStore) -> None:
    launches = [await accepted(store) for _ in range(3)]
    await store.log.append(launches[1], PULLING)

    found = await store.log.get_many([launches[2].id, launches[1].id, new_launch().id])

    assert {launch_id: launch.status for launch_id, launch in found.items()} == {
        launches[1].id: Status.LAUNCHING,
        launches[2].id: Status.WAITING,
    }
    assert await store.log.get_many([]) == {}
