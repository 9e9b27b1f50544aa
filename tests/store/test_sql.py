"""The log and upkeep of launches in SQL."""

import asyncio
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, select
from sqlalchemy.event import listen
from sqlalchemy.exc import IntegrityError, StatementError

from hublaunch.launch.errors import LaunchNotFound
from hublaunch.launch.model import LaunchRequest, Stage, Status, Step
from hublaunch.launch.problem import Problem
from hublaunch.launch.rules.raw_event import RawEvent
from hublaunch.sealing import Sealer
from hublaunch.store.append import Append, append
from hublaunch.store.rows import _from_json
from hublaunch.store.sql import SqlLaunchStore
from hublaunch.store.tables import launch_attempts, launch_events, launches
from tests.store.databases import sqlite_only
from tests.store.launches import (
    CANCELLED,
    FAILED,
    PULLING,
    READY,
    accepted,
    first_event,
    heard_events,
    new_launch,
    read_back,
    ready_launch,
    second_attempt,
)
from tests.support.sqlite import migrated


async def test_an_accepted_launch_is_read_back_unchanged(store: SqlLaunchStore) -> None:
    extra_args = {"binder_request": "v2/gh/ä\x00", "n": [1, None]}
    request = LaunchRequest(image="i", repo_url="", extra_args=extra_args, path="lab/tree/ä.ipynb?x#y", ref="grün/1")
    of_size = replace(request, environment="scipy", size="large", size_options={"profile": "large", "zone": [1, None]})
    launch = new_launch(request=of_size)

    await store.intake.accept(launch)

    stored = await read_back(store, launch)
    assert asdict(stored) == asdict(launch)


async def test_an_unknown_id_has_no_launch(store: SqlLaunchStore) -> None:
    assert await store.log.get("01J00000000000000000000000") is None
    assert await store.log.events("01J00000000000000000000000", after=0) == []


async def test_a_launch_is_accepted_once(store: SqlLaunchStore) -> None:
    launch = await accepted(store)

    with pytest.raises(IntegrityError):
        await store.intake.accept(launch)

    assert len(await store.log.events(launch.id, after=0)) == 1


async def test_a_step_becomes_the_next_event_and_the_status_of_its_launch(store: SqlLaunchStore) -> None:
    launch = await accepted(store)

    event = await store.log.append(launch, PULLING)

    assert (event.seq, event.attempt, event.phase, event.progress) == (2, 1, Status.LAUNCHING, 20)
    stored = await read_back(store, launch)
    assert (stored.status, stored.ended_at) == (Status.LAUNCHING, None)
    assert asdict(stored.last_event) == asdict(event)


@pytest.mark.parametrize("last", [READY, FAILED, CANCELLED], ids=["ready", "failed", "cancelled"])
async def test_the_last_event_is_read_back_unchanged_and_ends_the_launch(store: SqlLaunchStore, last: Step) -> None:
    launch = await accepted(store)
    await store.log.append(launch, PULLING)

    event = await store.log.append(launch, last)

    (stored_event,) = await store.log.events(launch.id, after=2)
    stored = await read_back(store, launch)
    assert asdict(stored_event) == asdict(event)
    assert (stored.status, stored.ended_at) == (last.phase, event.at)
    assert (event.url, event.token_expires_at, event.problem) == (last.url, last.token_expires_at, last.problem)


def test_a_problem_that_an_earlier_release_stored_has_no_advice_for_operators() -> None:
    stored = {"code": "spawn_failed", "title": "No server", "detail": "ImagePullBackOff", "advice": "Check the image."}

    assert _from_json(Problem, stored) == Problem(**stored, operator_advice="")


async def test_a_step_keeps_its_stage_and_the_event_of_kubernetes(store: SqlLaunchStore) -> None:
    launch = new_launch()
    await store.intake.accept(launch)
    raw_event = RawEvent(message="0/3 nodes are available", reason="FailedScheduling", type="Warning", container="a")
    unknown = Step(phase=Status.LAUNCHING, progress=0, message="Asking")
    known = Step(phase=Status.LAUNCHING, progress=5, message="x", stage=Stage.SCHEDULING, raw_event=raw_event)
    for step in (unknown, known, CANCELLED):
        await store.log.append(launch, step)

    stored = await store.log.events(launch.id, after=1)

    assert [event.stage for event in stored] == [Stage.STARTING, Stage.SCHEDULING, None]
    assert [event.raw_event for event in stored] == [None, raw_event, None]


async def test_a_stage_and_fields_of_a_later_release_are_read(store: SqlLaunchStore) -> None:
    launch = new_launch()
    await store.intake.accept(launch)
    later = {"stage": "levitating", "raw_event": {"message": "a", "reason": "B", "color": "blue"}}
    await store.sql.writer.run(lambda connection: connection.execute(launch_events.update().values(**later)))

    (event,) = await store.log.events(launch.id, after=0)

    assert (event.stage, event.raw_event) == (None, RawEvent(message="a", reason="B"))


async def test_a_step_that_the_status_does_not_allow_is_refused_and_not_stored(store: SqlLaunchStore) -> None:
    launch = await accepted(store)

    with pytest.raises(ValueError, match="waiting, so it cannot become ready"):
        await store.log.append(launch, READY)

    assert len(await store.log.events(launch.id, after=0)) == 1


async def test_no_event_has_the_phase_stopped(store: SqlLaunchStore) -> None:
    launch = await ready_launch(store)

    with pytest.raises(ValueError, match="cannot become stopped"):
        await store.log.append(launch, replace(READY, phase=Status.STOPPED))


async def test_writes_to_an_unknown_launch_are_refused(store: SqlLaunchStore) -> None:
    launch = new_launch()

    with pytest.raises(LaunchNotFound):
        await store.log.append(launch, PULLING)
    with pytest.raises(LaunchNotFound):
        await store.ownership.request_cancel(launch.id)
    with pytest.raises(LaunchNotFound):
        await store.upkeep.mark_cleaned(launch, launch.attempt)


async def test_a_step_without_progress_keeps_the_last_value(store: SqlLaunchStore) -> None:
    """As a cancellation does, which may come while a step is on its way to the log."""
    launch = await accepted(store)

    steps = PULLING, replace(PULLING, progress=60), replace(CANCELLED, progress=None)
    events = await asyncio.gather(*(store.log.append(launch, step) for step in steps))

    assert [event.progress for event in events] == [20, 60, 60]
    assert [event.progress for event in await store.log.events(launch.id, after=1)] == [20, 60, 60]


async def test_a_log_can_be_read_from_any_event(store: SqlLaunchStore) -> None:
    launch = await accepted(store)
    for _ in range(3):
        await store.log.append(launch, PULLING)

    assert [event.seq for event in await store.log.events(launch.id, after=0)] == [1, 2, 3, 4]
    assert [event.seq for event in await store.log.events(launch.id, after=2)] == [3, 4]
    assert await store.log.events(launch.id, after=99) == []


async def test_time_never_goes_back_within_a_log(store: SqlLaunchStore) -> None:
    in_an_hour = datetime.now(UTC) + timedelta(hours=1)
    launch = new_launch()
    await store.intake.accept(replace(launch, last_event=first_event(launch.id, in_an_hour)))

    event = await store.log.append(launch, PULLING)

    assert event.at == in_an_hour


async def test_instants_keep_microseconds_and_are_returned_in_utc(store: SqlLaunchStore) -> None:
    in_nepal = datetime(2026, 3, 1, 0, 15, 30, 123456, tzinfo=timezone(timedelta(hours=5, minutes=45)))
    launch = await store.intake.accept(new_launch(deadline_at=in_nepal))

    stored = await read_back(store, launch)

    assert stored.deadline_at == in_nepal
    assert stored.deadline_at.tzinfo is UTC


async def test_an_instant_without_a_zone_is_refused(store: SqlLaunchStore) -> None:
    with pytest.raises(StatementError, match="an instant needs a time zone"):
        await store.intake.accept(new_launch(deadline_at=datetime(2026, 3, 1)))  # noqa: DTZ001 - is what is refused


async def test_the_next_attempt_becomes_the_latest(store: SqlLaunchStore) -> None:
    launch = await accepted(store)
    await store.upkeep.mark_cleaned(launch, launch.attempt)

    await store.log.begin_attempt(launch, second_attempt(launch))

    stored = await read_back(store, launch)
    assert stored.attempt == second_attempt(launch)
    assert stored.cleaned_at is None
    assert (await store.log.append(launch, PULLING)).attempt == 2


async def test_only_the_next_attempt_of_a_launch_in_progress_may_begin(store: SqlLaunchStore) -> None:
    launch, ended = new_launch(), await ready_launch(store)
    await store.intake.accept(launch)

    with pytest.raises(ValueError, match="attempt 3 cannot be the next"):
        await store.log.begin_attempt(launch, replace(launch.attempt, number=3))
    with pytest.raises(ValueError, match="attempt 1 cannot be the next"):
        await store.log.begin_attempt(launch, launch.attempt)
    with pytest.raises(ValueError, match="attempt 2 cannot be the next"):
        await store.log.begin_attempt(ended, second_attempt(ended))


async def test_the_first_request_to_cancel_and_the_first_clean_up_of_an_attempt_count(store: SqlLaunchStore) -> None:
    launch = await accepted(store)
    instants = []

    for _ in range(2):
        await store.ownership.request_cancel(launch.id)
        await store.upkeep.mark_cleaned(launch, launch.attempt)
        now = await read_back(store, launch)
        instants.append((now.cancel_requested_at, now.cleaned_at))

    assert None not in instants[0]
    assert instants[1] == instants[0]


async def test_a_ready_launch_becomes_stopped_without_an_event(store: SqlLaunchStore) -> None:
    launch = await ready_launch(store)

    await store.upkeep.mark_stopped(launch, stopped_by="caller", clean_in_s=None)

    stored = await read_back(store, launch)
    assert (stored.status, stored.stopped_by) == (Status.STOPPED, "caller")
    assert stored.stopped_at is not None
    assert stored.last_event.phase is Status.READY


async def test_only_a_ready_launch_can_become_stopped(store: SqlLaunchStore) -> None:
    launch = await accepted(store)

    with pytest.raises(ValueError, match="cannot become stopped"):
        await store.upkeep.mark_stopped(launch, stopped_by="caller", clean_in_s=None)


async def test_every_event_is_published_before_its_writer_continues(store: SqlLaunchStore) -> None:
    told = heard_events(store)
    launch = new_launch()

    await store.intake.accept(launch)
    assert told == [launch.last_event]

    event = await store.log.append(launch, PULLING)
    assert told == [launch.last_event, event]


async def test_deleting_a_launch_deletes_its_attempts_and_events(store: SqlLaunchStore) -> None:
    await accepted(store)

    with store.database.writing.begin() as connection:
        connection.execute(delete(launches))

    with store.database.reading.connect() as connection:
        assert connection.execute(select(launch_attempts)).all() == []
        assert connection.execute(select(launch_events)).all() == []


def contents(directory: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in directory.iterdir()}


@sqlite_only
async def test_no_token_is_in_the_clear_in_the_files_of_the_database(url: str, path: Path, sealer: Sealer) -> None:
    assert READY.token is not None
    async with SqlLaunchStore(url, sealer=sealer) as store:
        launch = await ready_launch(store)
        while_open = contents(path.parent)
        (event,) = await store.log.events(launch.id, after=2)
    closed = contents(path.parent)

    assert launch.id.encode() in while_open["hublaunch.sqlite-wal"]
    assert launch.id.encode() in closed["hublaunch.sqlite"]
    assert not any(READY.token.encode() in content for content in (*while_open.values(), *closed.values()))
    assert READY.token not in repr(event)
    assert event.sealed_token is not None
    assert sealer.open(event.sealed_token) == READY.token


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=60))
def test_concurrent_appends_leave_dense_logs_in_the_order_of_the_calls(asked: list[tuple[int, bool]]) -> None:
    """Each of `asked` is a launch to append to, and whether the caller is cancelled meanwhile."""

    async def scenario(url: str) -> None:
        async with SqlLaunchStore(url, sealer=Sealer(["0" * 32], purpose="stored tokens")) as store:
            accepted = [new_launch() for _ in range(3)]
            await asyncio.gather(*map(store.intake.accept, accepted))
            calls = [
                asyncio.create_task(store.log.append(accepted[which], replace(PULLING, message=str(number))))
                for number, (which, _) in enumerate(asked)
            ]
            await asyncio.sleep(0)
            for call, (_, is_cancelled) in zip(calls, asked, strict=True):
                if is_cancelled:
                    call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)

        async with SqlLaunchStore(url, sealer=Sealer(["0" * 32], purpose="stored tokens")) as store:
            for which, launch in enumerate(accepted):
                log = await store.log.events(launch.id, after=0)
                assert [event.seq for event in log] == list(range(1, len(log) + 1))
                numbers = [str(number) for number, (other, _) in enumerate(asked) if other == which]
                assert [event.message for event in log] == ["Accepted", *numbers]

    with TemporaryDirectory() as directory:
        asyncio.run(scenario(migrated(Path(directory, "x.sqlite"))))


@sqlite_only
async def test_an_event_that_changes_no_status_writes_no_index(store: SqlLaunchStore) -> None:
    launch = await accepted(store)
    await store.log.append(launch, PULLING)
    updates: list[tuple[str, Any]] = []

    def note(_connection: Connection, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if statement.startswith("UPDATE"):
            updates.append((statement, parameters))

    with store.database.writing.begin() as connection:
        listen(connection, "after_cursor_execute", note)
        append(connection, [Append(launch.id, launch.fence, PULLING, None)])
        [(statement, parameters)] = updates
        opcodes = {row.opcode for row in connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)}

    assert "Insert" in opcodes
    assert "IdxInsert" not in opcodes
