"""Group commit: batches, the order of news, and which changes a failure affects."""

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import IntegrityError, OperationalError

from hublaunch.launch.errors import LaunchNotFound
from hublaunch.launch.model import Event, Launch
from hublaunch.sealing import Sealer
from hublaunch.store.sql import SqlLaunchStore
from hublaunch.store.writer import BATCH_MAX
from tests.store.databases import sqlite_only
from tests.store.launches import FAILED, PULLING, accepted, heard_events, new_launch
from tests.store.writing import held_writer


def fail_at_commit(connection: Connection, arguments: Sequence[None]) -> Sequence[None]:
    """Insert an attempt of a missing launch, which SQLite checks only at the commit."""
    connection.execute(text("PRAGMA defer_foreign_keys = ON"))
    connection.execute(text("INSERT INTO launch_attempts VALUES ('nothing', 1, '', '', 0, '', NULL, NULL, NULL)"))
    return arguments


@pytest.mark.parametrize(("waiting", "batches"), [(BATCH_MAX, 1), (2 * BATCH_MAX + 1, 3)])
async def test_waiting_changes_are_committed_in_batches(store: SqlLaunchStore, waiting: int, batches: int) -> None:
    launch = await accepted(store)
    commits: list[Connection] = []

    async with held_writer(store):
        calls = [asyncio.create_task(store.log.append(launch, PULLING)) for _ in range(waiting)]
        await asyncio.sleep(0)
        event.listen(store.database.writing, "commit", commits.append)
    await asyncio.gather(*calls)

    assert len(commits) == 1 + batches  # the first batch is the change that held the writer


async def test_callers_and_subscribers_get_events_in_the_order_of_the_calls(store: SqlLaunchStore) -> None:
    launches = [new_launch() for _ in range(3)]
    returned: list[Event] = []
    heard = heard_events(store)

    async def append(launch: Launch) -> None:
        returned.append(await store.log.append(launch, PULLING))

    await asyncio.gather(*map(store.intake.accept, launches))
    async with held_writer(store):
        calls = [asyncio.create_task(append(launches[n % 3])) for n in range(30)]
    await asyncio.gather(*calls)

    assert [(e.launch_id, e.seq) for e in returned] == [(launches[n % 3].id, 2 + n // 3) for n in range(30)]
    assert heard == [*(launch.last_event for launch in launches), *returned]


@sqlite_only
async def test_nothing_is_acknowledged_before_it_is_committed(store: SqlLaunchStore, path: Path) -> None:
    launch = await accepted(store)
    other = sqlite3.connect(path)

    async def append() -> None:
        stored = await store.log.append(launch, PULLING)
        (last,) = other.execute("SELECT max(seq) FROM launch_events").fetchone()
        assert last >= stored.seq

    await asyncio.gather(*(append() for _ in range(50)))
    other.close()


async def test_a_failing_change_does_not_affect_its_batch(store: SqlLaunchStore) -> None:
    launch, ended = new_launch(), new_launch()
    await asyncio.gather(store.intake.accept(launch), store.intake.accept(ended))
    await store.log.append(ended, FAILED)

    async with held_writer(store):
        calls = asyncio.gather(
            store.log.append(launch, PULLING),
            store.log.append(ended, PULLING),
            store.log.append(new_launch(), PULLING),
            store.intake.accept(launch),
            store.log.append(launch, PULLING),
            return_exceptions=True,
        )
    outcomes = await calls

    assert [type(outcome) for outcome in outcomes] == [Event, ValueError, LaunchNotFound, IntegrityError, Event]
    assert [e.seq for e in await store.log.events(launch.id, after=0)] == [1, 2, 3]
    assert [e.seq for e in await store.log.events(ended.id, after=0)] == [1, 2]
    assert await store.is_healthy()


@sqlite_only
async def test_a_change_that_fails_half_way_leaves_nothing(store: SqlLaunchStore, path: Path) -> None:
    launch, whole = new_launch(), new_launch()
    torn = replace(launch, attempt=replace(launch.attempt, launch_id="of another launch"))

    outcomes = await asyncio.gather(store.intake.accept(torn), store.intake.accept(whole), return_exceptions=True)

    other = sqlite3.connect(path)
    stored = [row for (row,) in other.execute("SELECT id FROM launches")]
    other.close()
    assert [type(outcome) for outcome in outcomes] == [IntegrityError, Launch]
    assert stored == [whole.id]


@sqlite_only
async def test_a_failing_commit_fails_only_its_batch(store: SqlLaunchStore, caplog: pytest.LogCaptureFixture) -> None:
    launch = await accepted(store)
    heard = heard_events(store)

    async with held_writer(store):
        lost = asyncio.ensure_future(store.log.append(launch, PULLING))
        failed = asyncio.ensure_future(store.sql.writer.write(fail_at_commit, None))
    outcomes = await asyncio.gather(lost, failed, return_exceptions=True)
    stored = await store.log.append(launch, PULLING)

    assert [type(outcome) for outcome in outcomes] == [IntegrityError, IntegrityError]
    assert stored.seq == 2
    assert heard == [stored]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "Changes not stored: 2." in caplog.text


async def test_the_event_of_a_cancelled_caller_is_stored_and_published(store: SqlLaunchStore) -> None:
    launch = await accepted(store)
    heard = heard_events(store)

    async with held_writer(store):
        cancelled = [
            asyncio.create_task(store.log.append(launch, PULLING)),
            asyncio.create_task(store.log.append(new_launch(), PULLING)),
        ]
        await asyncio.sleep(0)
        for call in cancelled:
            call.cancel()
    event = await store.log.append(launch, PULLING)

    assert all(call.cancelled() for call in cancelled)
    assert event.seq == 3
    assert [e.seq for e in heard] == [2, 3]


@sqlite_only
async def test_a_locked_database_fails_writes_until_it_is_free(store: SqlLaunchStore, path: Path) -> None:
    launch = await accepted(store)
    with store.database.writing.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 0")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(OperationalError, match="database is locked"):
        await store.log.append(launch, PULLING)
    assert not await store.is_healthy()

    other.execute("ROLLBACK")
    other.close()
    assert await store.is_healthy()
    assert (await store.log.append(launch, PULLING)).seq == 2


@sqlite_only
async def test_a_full_disk_fails_only_writes_that_do_not_fit_and_is_noticed(store: SqlLaunchStore) -> None:
    launch = await accepted(store)
    with store.database.writing.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")

    async with held_writer(store):
        calls = [asyncio.create_task(store.log.append(launch, PULLING)) for _ in range(200)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    is_failing = store.sql.writer.is_failing

    stored = [outcome for outcome in outcomes if isinstance(outcome, Event)]
    assert is_failing
    assert len(stored) < len(outcomes)
    assert all(isinstance(outcome, Event | OperationalError) for outcome in outcomes)
    assert [e.seq for e in await store.log.events(launch.id, after=1)] == [e.seq for e in stored]


async def test_closing_a_store_waits_for_its_writes(url: str, sealer: Sealer) -> None:
    launch = new_launch()
    async with SqlLaunchStore(url, sealer=sealer) as store:
        await store.intake.accept(launch)
        calls = [asyncio.create_task(store.log.append(launch, PULLING)) for _ in range(3 * BATCH_MAX)]
        await asyncio.sleep(0)
    events = await asyncio.gather(*calls)

    assert [e.seq for e in events] == list(range(2, 3 * BATCH_MAX + 2))
    async with SqlLaunchStore(url, sealer=sealer) as store:
        assert len(await store.log.events(launch.id, after=1)) == 3 * BATCH_MAX


async def test_a_cancelled_close_still_closes(url: str, sealer: Sealer) -> None:
    threads, go_on = ThreadPoolExecutor(1), threading.Event()
    loop = asyncio.get_running_loop()
    loop.set_default_executor(threads)
    store = SqlLaunchStore(url, sealer=sealer)
    await store.__aenter__()
    busy = loop.run_in_executor(None, go_on.wait, 10)

    closing = asyncio.create_task(store.__aexit__())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait({closing})
    go_on.set()

    assert await busy
    assert closing.cancelled()
    async with SqlLaunchStore(url, sealer=sealer) as again:
        assert await again.is_healthy()


async def test_a_closed_store_refuses_writes_and_is_not_healthy(url: str, sealer: Sealer) -> None:
    async with SqlLaunchStore(url, sealer=sealer) as store:
        assert await store.is_healthy()

    assert not await store.is_healthy()
    with pytest.raises(RuntimeError, match="not open"):
        await accepted(store)


async def test_a_store_that_was_never_opened_refuses_writes(url: str, sealer: Sealer) -> None:
    store = SqlLaunchStore(url, sealer=sealer)

    with pytest.raises(RuntimeError, match="not open"):
        await accepted(store)
