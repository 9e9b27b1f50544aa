"""Bounds on ended launches, on both databases."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text, update

from hublaunch.launch.acceptance.idempotency import IdempotencyKey
from hublaunch.launch.caller import Caller
from hublaunch.launch.errors import StorageFull
from hublaunch.launch.model import Launch, LaunchRequest, Step
from hublaunch.sealing import Sealer
from hublaunch.store.sql import SqlLaunchStore
from hublaunch.store.tables import launches
from tests.store.databases import sqlite_only
from tests.store.launches import CANCELLED, FAILED, PULLING, READY, new_launch, read_back

ARGS = {"binder_request": "x" * 16_000}
LARGE = LaunchRequest(
    image="a/b", repo_url="https://h/" + 1900 * "a", path=1900 * "b", extra_args=ARGS, size="s", size_options=ARGS
)


def at(address: str) -> Caller:
    return Caller(kind="anonymous", key=address)


SOMEBODY = at("192.0.2.1")


async def accepted(store: SqlLaunchStore, caller: Caller = SOMEBODY, key: str | None = None) -> Launch:
    return await store.intake.accept(
        new_launch(caller=caller, request=LARGE), None if key is None else IdempotencyKey(scope=key, request="same")
    )


async def cancelled(store: SqlLaunchStore, caller: Caller = SOMEBODY, key: str | None = None) -> Launch:
    """A launch that ended and never reached the Hub."""
    launch = await accepted(store, caller, key)
    await store.upkeep.mark_cleaned(launch, launch.attempt)
    await store.log.append(launch, CANCELLED)
    return launch


def make_older(store: SqlLaunchStore, launch: Launch, **ago: float) -> None:
    before = datetime.now(UTC) - timedelta(**ago)
    with store.database.writing.begin() as connection:
        connection.execute(
            update(launches).where(launches.c.id == launch.id).values(created_at=before, ended_at=before)
        )


async def arguments(store: SqlLaunchStore, launch: Launch) -> object:
    now = await read_back(store, launch)
    assert (now.request.image, now.request.repo_url, now.request.path) == (LARGE.image, LARGE.repo_url, LARGE.path)
    assert now.request.size_options == now.request.extra_args
    return now.request.extra_args


@pytest.mark.parametrize("end", [FAILED, CANCELLED], ids=["failed", "cancelled"])
async def test_extra_args_are_kept_until_a_launch_ends(store: SqlLaunchStore, end: Step) -> None:
    launch = await accepted(store)
    await store.log.append(launch, PULLING)
    before = await arguments(store, launch)

    await store.log.append(launch, end)

    assert (before, await arguments(store, launch)) == (ARGS, {})


async def test_extra_args_of_a_ready_launch_are_kept_until_its_server_has_stopped(store: SqlLaunchStore) -> None:
    launch = await accepted(store)
    await store.log.append(launch, PULLING)
    await store.log.append(launch, READY)
    before = await arguments(store, launch)

    await store.upkeep.mark_stopped(launch, stopped_by="hub", clean_in_s=None)

    assert (before, await arguments(store, launch)) == (ARGS, {})


async def test_a_launch_that_never_asked_the_hub_is_removed_an_hour_after_its_end(store: SqlLaunchStore) -> None:
    old, young, asked, waiting = [await accepted(store) for _ in range(4)]
    await store.log.append(asked, PULLING)
    for launch in (old, young, asked):
        await store.upkeep.mark_cleaned(launch, launch.attempt)
        await store.log.append(launch, CANCELLED)
    for launch in (old, asked):
        make_older(store, launch, hours=2)

    removed = await store.history.remove_unasked(older_than_s=3600, limit=99)

    assert removed == 1
    assert [await store.log.get(launch.id) is None for launch in (old, young, asked, waiting)] == [True, *3 * [False]]


async def test_a_launch_with_an_idempotency_key_stays_as_long_as_the_key(store: SqlLaunchStore) -> None:
    of_today, of_yesterday = await cancelled(store, key="one"), await cancelled(store, key="two")
    make_older(store, of_today, hours=2)
    make_older(store, of_yesterday, hours=25)

    await store.history.remove_unasked(older_than_s=3600, limit=99)

    assert [await store.log.get(launch.id) is None for launch in (of_today, of_yesterday)] == [False, True]


async def test_launches_not_cleaned_up_stay(store: SqlLaunchStore) -> None:
    launch = await accepted(store)
    await store.log.append(launch, CANCELLED)
    make_older(store, launch, hours=2)

    assert await store.history.remove_unasked(older_than_s=3600, limit=99) == 0
    assert await store.history.remove_excess(launching_in_s=3600, bytes_most=0, limit=99) == 0


async def test_the_bytes_kept_of_a_caller_are_bounded_and_the_oldest_launches_go_first(store: SqlLaunchStore) -> None:
    ended = sorted([await cancelled(store) for _ in range(8)], key=lambda launch: launch.id)
    active, others = await accepted(store), await cancelled(store, at("192.0.2.2"))

    removed = await store.history.remove_excess(launching_in_s=3600, bytes_most=5 * 7000, limit=99)

    assert removed == 3
    assert [await store.log.get(launch.id) is None for launch in ended] == [*3 * [True], *5 * [False]]
    assert await store.log.get(active.id)
    assert await store.log.get(others.id)


async def test_the_addresses_of_one_ipv6_network_have_one_history(store: SqlLaunchStore) -> None:
    for number in range(8):
        await cancelled(store, at(f"2001:db8:1:{number:x}00::7"))

    assert await store.history.remove_excess(launching_in_s=3600, bytes_most=5 * 7000, limit=99) == 3


async def test_the_history_of_an_api_key_is_not_bounded(store: SqlLaunchStore) -> None:
    for _ in range(3):
        await cancelled(store, Caller(kind="key", key="course"))

    assert await store.history.remove_excess(launching_in_s=3600, bytes_most=0, limit=99) == 0


async def test_only_recent_callers_are_checked_and_removals_are_limited(store: SqlLaunchStore) -> None:
    for _ in range(5):
        await cancelled(store)

    assert await store.history.remove_excess(launching_in_s=-60, bytes_most=0, limit=99) == 0
    assert [await store.history.remove_excess(launching_in_s=3600, bytes_most=0, limit=3) for _ in range(3)] == [
        3,
        2,
        0,
    ]


@sqlite_only
async def test_a_file_stops_growing_however_often_one_address_launches_and_cancels(store: SqlLaunchStore) -> None:
    async def pages() -> int:
        with store.database.reading.connect() as connection:
            count: int = connection.execute(text("PRAGMA page_count")).scalar_one()
            return count

    async def a_round() -> None:
        await asyncio.gather(*(cancelled(store) for _ in range(60)))
        while await store.history.remove_excess(launching_in_s=3600, bytes_most=200_000, limit=100):
            pass

    await a_round()
    after_one = await pages()
    for _ in range(4):
        await a_round()

    assert await pages() < 1.2 * after_one


@sqlite_only
async def test_a_full_disk_refuses_a_launch_with_the_reason(url: str, sealer: Sealer) -> None:
    async with SqlLaunchStore(url, sealer=sealer) as store:
        with store.database.writing.connect() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

        with pytest.raises(StorageFull):
            await asyncio.gather(*(accepted(store) for _ in range(50)))
