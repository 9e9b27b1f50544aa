"""How long launches go without an event, as the store keeps it."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, insert

from hublaunch.launch.model import Launch, Stage, StallReason, Status, Step
from hublaunch.launch.ports import LeaseLost
from hublaunch.launch.rules.raw_event import RawEvent
from hublaunch.launch.rules.stall import SILENCES_MAX
from hublaunch.store.database import transaction_beside_service
from hublaunch.store.rows import launch_row
from hublaunch.store.sql import SqlLaunchStore
from hublaunch.store.start_times import SILENCES
from hublaunch.store.tables import launches, start_times
from tests.store.launches import CANCELLED, FAILED, READY, accepted, heard_events, new_launch, read_back, second_attempt
from tests.support.silent import OFF, STARTING, at_hub, silent_for

SCHEDULING = Step(phase=Status.LAUNCHING, progress=20, message="No room")


def stalled(launch: Launch) -> Step:
    return Step(
        phase=Status.LAUNCHING,
        progress=None,
        message="Waiting for a machine for 3 minutes.",
        stalled_since=launch.last_event.at,
        stalled_reason=StallReason.NO_MACHINE,
    )


async def ids(store: SqlLaunchStore, *, for_s: float) -> Sequence[str]:
    return [launch.id for launch in await store.silences.silent(for_s=for_s)]


async def longest(store: SqlLaunchStore) -> Sequence[int]:
    """Return the longest silences in whole tens of seconds, as a test takes some time itself."""
    return [int(seconds // 10) * 10 for seconds in await store.silences.longest()]


async def test_the_longest_silence_of_a_ready_launch_is_kept(store: SqlLaunchStore) -> None:
    launch = await at_hub(store)
    for seconds in (20, 70, 30):
        await silent_for(store, launch, seconds)
        await store.log.append(launch, SCHEDULING)
    await store.log.append(launch, READY)

    assert await longest(store) == [70]


async def test_the_time_before_the_server_is_ready_is_a_silence_too(store: SqlLaunchStore) -> None:
    launch = await silent_for(store, await at_hub(store), 40)

    await store.log.append(launch, READY)

    assert await longest(store) == [40]


async def test_time_in_the_queue_is_not_a_silence_of_the_hub(store: SqlLaunchStore) -> None:
    launch = await silent_for(store, await accepted(store, time_left_s=600), 500)
    await store.queue.admit(most=10, weight=lambda _: 1.0, guard=OFF)

    await store.log.append(launch, STARTING)
    await store.log.append(launch, READY)

    assert await longest(store) == [0]


async def test_an_event_that_says_that_a_launch_is_stalled_does_not_end_its_silence(store: SqlLaunchStore) -> None:
    launch = await silent_for(store, await at_hub(store), 200)
    await store.silences.append_if_silent(launch, stalled(launch))

    await store.log.append(launch, READY)

    assert await longest(store) == [200]


@pytest.mark.parametrize("end", [FAILED, CANCELLED])
async def test_launches_that_were_never_ready_have_no_silence(store: SqlLaunchStore, end: Step) -> None:
    launch = await silent_for(store, await at_hub(store), 30)

    await store.log.append(launch, end)

    assert await longest(store) == []


async def test_silences_are_forgotten_with_their_launches(store: SqlLaunchStore) -> None:
    launch = await at_hub(store, READY)
    await store.upkeep.mark_stopped(launch, stopped_by="caller", clean_in_s=None)
    await store.upkeep.mark_cleaned(launch, launch.attempt)
    kept = await longest(store)

    await store.history.remove_old(older_than_s=-1, limit=10)

    assert (kept, await longest(store)) == ([0], [])


async def test_only_the_last_thousand_launches_count(store: SqlLaunchStore) -> None:
    def insert_all(connection: Connection) -> int:
        connection.execute(insert(launches), [launch_row(launch) for launch in ended])
        return connection.execute(insert(start_times), starts).rowcount

    ended, now = [new_launch() for _ in range(SILENCES_MAX + 3)], datetime.now(UTC)
    starts = [
        {"launch_id": launch.id, "image": f"image-{hours % 2}", "ready_at": now - timedelta(hours=hours)}
        | {"seconds": 1.0, "pulled": False, "silence_s": float(hours)}
        for hours, launch in enumerate(ended)
    ]
    await store.sql.writer.run(insert_all)

    assert await store.silences.longest() == [*range(SILENCES_MAX)], "the newest first, of all images"


async def test_silent_launches_are_those_at_the_hub_whose_last_event_is_old(store: SqlLaunchStore) -> None:
    silent, lately = await at_hub(store), await at_hub(store)
    waiting, ready = await accepted(store), await at_hub(store, READY)
    for launch in (silent, waiting, ready):
        await silent_for(store, launch, 100)

    assert await ids(store, for_s=90) == [silent.id]
    assert await ids(store, for_s=110) == []
    assert await ids(store, for_s=0) == [silent.id, lately.id]


async def test_a_launch_that_is_being_cancelled_is_not_silent(store: SqlLaunchStore) -> None:
    launch = await at_hub(store)

    await store.ownership.request_cancel(launch.id)

    assert await ids(store, for_s=0) == []


async def test_an_attempt_that_has_not_asked_the_hub_is_not_silent(store: SqlLaunchStore) -> None:
    launch = await at_hub(store)

    await store.log.begin_attempt(launch, second_attempt(launch))

    assert await ids(store, for_s=0) == []


async def test_a_launch_is_reported_as_stalled_once_until_there_is_news(store: SqlLaunchStore) -> None:
    launch = await at_hub(store)
    heard = heard_events(store)

    assert await store.silences.append_if_silent(launch, stalled(launch))
    told = await read_back(store, launch)
    between = await ids(store, for_s=0)
    await store.log.append(launch, SCHEDULING)
    after = await read_back(store, launch)

    assert between == []
    assert told.last_event.stalled_since == launch.last_event.at
    assert told.last_event.stalled_reason is StallReason.NO_MACHINE
    assert told.last_event.progress == launch.last_event.progress
    assert after.last_event.stalled_since is None
    assert await ids(store, for_s=0) == [launch.id]
    assert [event.message for event in heard] == ["Waiting for a machine for 3 minutes.", "No room"]


async def test_a_stall_during_the_pull_of_a_sidecar_is_not_a_pull_of_the_image(store: SqlLaunchStore) -> None:
    sidecar = RawEvent(message="Pulling image", reason="Pulling", container="proxy")
    launch = await at_hub(store, replace(SCHEDULING, stage=Stage.PULLING, raw_event=sidecar))

    assert await store.silences.append_if_silent(launch, replace(stalled(launch), stage=Stage.PULLING))

    found = (await read_back(store, launch)).estimate
    assert found is not None
    assert not found.of_pulls


async def test_news_in_the_meantime_keeps_a_launch_from_being_stalled(store: SqlLaunchStore) -> None:
    launch = await at_hub(store)
    await store.log.append(launch, SCHEDULING)
    heard = heard_events(store)

    assert not await store.silences.append_if_silent(launch, stalled(launch))

    assert (await read_back(store, launch)).last_event.message == "No room"
    assert heard == []


@pytest.mark.parametrize("end", [READY, FAILED])
async def test_a_launch_that_has_ended_does_not_stall(store: SqlLaunchStore, end: Step) -> None:
    launch = await at_hub(store)
    await store.log.append(launch, end)

    assert not await store.silences.append_if_silent(launch, stalled(launch))


async def test_stalled_launches_are_counted(store: SqlLaunchStore) -> None:
    launch, _ = await at_hub(store), await at_hub(store)
    before = await store.queue.capacity(guard=OFF, most=10)
    await store.silences.append_if_silent(launch, stalled(launch))
    during = await store.queue.capacity(guard=OFF, most=10)
    await store.log.append(launch, READY)
    after = await store.queue.capacity(guard=OFF, most=10)

    assert [(one.launching, one.stalled) for one in (before, during, after)] == [(2, 0), (2, 1), (1, 0)]


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
async def test_processes_count_each_others_silences_but_watch_their_own_launches(
    store: SqlLaunchStore, other: SqlLaunchStore
) -> None:
    for _ in range(20):
        mine, theirs = await asyncio.gather(at_hub(store), at_hub(other))
        await asyncio.gather(store.log.append(mine, READY), other.log.append(theirs, READY))
    mine, theirs = await at_hub(store), await at_hub(other)

    assert len(await store.silences.longest()) == len(await other.silences.longest()) == 40
    assert (await ids(store, for_s=0), await ids(other, for_s=0)) == ([mine.id], [theirs.id])


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
async def test_a_process_that_adopts_a_launch_continues_its_silence(
    store: SqlLaunchStore, other: SqlLaunchStore
) -> None:
    launch = await silent_for(store, await at_hub(store), 100)
    await store.ownership.release()
    [adopted] = await other.ownership.adopt(limit=10)

    assert await ids(other, for_s=90) == [launch.id]
    with pytest.raises(LeaseLost):
        await store.silences.append_if_silent(launch, stalled(launch))
    assert await other.silences.append_if_silent(adopted, stalled(adopted))
    await other.log.append(adopted, READY)
    assert await longest(other) == [100]


def test_only_the_silences_that_count_are_read(sqlite_url: str) -> None:
    with transaction_beside_service(sqlite_url, writes=False) as connection:
        compiled = SILENCES.compile(connection)
        values = compiled.construct_params()
        in_order = tuple(values[name] for name in compiled.positiontup or ())
        plan = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", in_order)]

    assert plan == ["SCAN start_times USING COVERING INDEX ix_start_times_ready_at"]
