"""Goal 5: the cost of operations with more launches in progress, queued and stored, and with more events in a log."""

import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import create_engine, text
from ulid import ULID

from benchmarks.figures import Figure, by_turns
from benchmarks.launches import service
from hublaunch.launch.caller import Caller
from hublaunch.launch.feed import Feed
from hublaunch.launch.model import Attempt, Event, Launch, LaunchRequest, Status, Step
from hublaunch.launch.ports import LaunchFilter
from hublaunch.launch.problem import Problem
from hublaunch.launch.rules.guard import Guard
from hublaunch.sealing import Sealer
from hublaunch.store.sql import SqlLaunchStore
from tests.support.programs import new_database

UNDER_WAY = (10, 100, 1000)
IN_QUEUE = (10, 100, 1000)
HISTORY = (1_000, 10_000, 100_000, 1_000_000)
EVENTS = (5, 50, 500, 5_000)
TIMES = 40
"""How many times each operation is repeated; the figure is the median."""
PAGE = 20
REMOVED_AT_ONCE = 500
AGE = timedelta(days=40)

_GUARD = Guard(mode="off", failure_limit=5)
_WAITING = Step(phase=Status.LAUNCHING, progress=20, message="Pulling the image")
_FAILED = Step(
    phase=Status.FAILED,
    progress=20,
    message="The server could not be started",
    problem=Problem(code="spawn_failed", title="No server", detail="ImagePullBackOff", advice="Check the image."),
)
_COPIES = "WITH RECURSIVE copies(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM copies WHERE i < :copies)"
_COPY_ID = ":id || substr('0000000000000000' || i, length('0000000000000000' || i) - 15)"
"""The time of a ULID is in its first ten characters, so copies of a launch have the age of the launch."""


async def measure(rounds: int) -> list[Figure]:
    """Return durations and costs of operations, by the number of launches and events."""
    figures = await _under_way(rounds)
    for kind in ("sqlite", "postgresql"):
        figures += await _in_queue(kind)
        figures += await _history(kind)
        figures += await _events(kind)
    return figures


async def _under_way(rounds: int) -> list[Figure]:
    ways = {str(launches): partial(service, launches) for launches in UNDER_WAY}
    outcomes = await by_turns(rounds, ways)
    return [
        _figure(f"CPU of the service per launch, {way} at once", [outcome["cpu_ms"] for outcome in outcomes[way]])
        for way in ways
    ]


async def _in_queue(kind: str) -> list[Figure]:
    """Admit one launch and accept another, while this many are queued."""
    figures = []
    for waiting in IN_QUEUE:
        with TemporaryDirectory() as directory, new_database(kind, Path(directory)) as url:
            async with _store(url) as store:
                numbers = count()
                for number in islice(numbers, waiting):
                    await store.intake.accept(_launch(number))

                async def admit(numbers: Iterator[int] = numbers, waiting: int = waiting) -> None:
                    number = next(numbers)
                    most = number - waiting + 1
                    assert len((await store.queue.admit(most=most, weight=_same, guard=_GUARD)).admitted) == 1
                    await store.intake.accept(_launch(number))

                async def look() -> None:
                    await store.queue.positions(weight=_same, lately_s=600)

                figures += [
                    await _timed(f"{kind}: accept a launch and admit one, {waiting} in the queue", admit, times=10),
                    await _timed(f"{kind}: positions, {waiting} in the queue", look),
                ]
    return figures


async def _history(kind: str) -> list[Figure]:
    """Measure a store that holds this many launches of a thousand callers."""
    figures = []
    with TemporaryDirectory() as directory, new_database(kind, Path(directory)) as url:
        copied = 0
        async with _store(url) as store:
            for launches in HISTORY:
                await _copy(store, url, launches - copied)
                copied = launches
                figures += await _with_history(store, f"{kind}: ", f", {launches:,} launches stored")
    return figures


async def _with_history(store: SqlLaunchStore, before: str, after: str) -> list[Figure]:
    numbers = count()
    caller = Caller(kind="key", key="caller-7")
    (known, *_) = await store.log.launches(LaunchFilter(caller=caller), limit=1)

    async def write() -> None:
        launch = _launch(next(numbers))
        await store.intake.accept(launch)
        await store.log.append(launch, _WAITING)
        await store.log.append(launch, _FAILED)

    async def follow() -> None:
        feed = Feed(store.log, idle_s=60)
        assert [events async for events in feed.follow(known.id)]

    async def list_own() -> None:
        assert len(await store.log.launches(LaunchFilter(caller=caller), limit=PAGE)) > 0

    async def list_all() -> None:
        assert len(await store.log.launches(LaunchFilter(), limit=PAGE)) == PAGE

    async def look() -> None:
        await store.queue.capacity(guard=_GUARD, most=50)

    async def remove() -> None:
        assert await store.history.remove_old(older_than_s=AGE.total_seconds() - 3600, limit=REMOVED_AT_ONCE) > 0

    return [
        await _timed(f"{before}accept, and two events{after}", write),
        await _timed(f"{before}follow an old launch{after}", follow),
        await _timed(f"{before}a page of one caller's{after}", list_own),
        await _timed(f"{before}a page of all{after}", list_all),
        await _timed(f"{before}GET /status{after}", look),
        await _timed(f"{before}remove up to {REMOVED_AT_ONCE}{after}", remove, times=1),
    ]


async def _copy(store: SqlLaunchStore, url: str, copies: int) -> None:
    """Insert this many old failed launches, copied from a launch that went through the store."""
    at = datetime.now(UTC) - AGE
    launch = _launch(0, at=at)
    await store.intake.accept(launch)
    await store.log.append(launch, _WAITING)
    await store.log.append(launch, _FAILED)
    await store.upkeep.mark_cleaned(launch, launch.attempt)
    values = {"id": str(ULID.from_datetime(at))[:10], "launch": launch.id, "copies": copies}
    engine = create_engine(url)
    with engine.begin() as connection:
        for table, column in (("launches", "id"), ("launch_attempts", "launch_id"), ("launch_events", "launch_id")):
            names = list(connection.execute(text(f"SELECT * FROM {table} LIMIT 0")).keys())
            new = {column: _COPY_ID, "caller_key": "'caller-' || (i % 1000)", "caller_kind": "'key'"}
            chosen = ", ".join(new.get(name, f"one.{name}") for name in names)
            copied = f"SELECT {chosen} FROM copies, {table} AS one WHERE one.{column} = :launch"
            connection.execute(text(f"INSERT INTO {table} ({', '.join(names)}) {_COPIES} {copied}"), values)
    engine.dispose()
    _settle(url)


def _settle(url: str) -> None:
    """Do now what each database would do by itself later: PostgreSQL updates its statistics, SQLite empties its WAL."""
    engine = create_engine(url)
    with engine.begin() as connection:
        is_sqlite = engine.dialect.name == "sqlite"
        connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)" if is_sqlite else "ANALYZE"))
    engine.dispose()


async def _events(kind: str) -> list[Figure]:
    """Measure a log with this many events: append one more, and follow it from the start."""
    figures = []
    with TemporaryDirectory() as directory, new_database(kind, Path(directory)) as url:
        async with _store(url) as store:
            for events in EVENTS:
                launch = _launch(events)
                await store.intake.accept(launch)
                for _ in range(events - 1):
                    await store.log.append(launch, _WAITING)
                _settle(url)

                async def append(launch: Launch = launch) -> None:
                    await store.log.append(launch, _WAITING)

                async def follow(launch: Launch = launch) -> None:
                    feed = Feed(store.log, idle_s=60)
                    async for news in feed.follow(launch.id):
                        assert news
                        return

                figures += [
                    await _timed(f"{kind}: one more event, {events} there", append),
                    await _timed(f"{kind}: follow from the start, {events} there", follow, times=10),
                ]
    return figures


def _store(url: str) -> SqlLaunchStore:
    return SqlLaunchStore(url, sealer=Sealer(["benchmark" * 5], purpose="stored tokens"))


def _launch(number: int, *, at: datetime | None = None) -> Launch:
    at = at or datetime.now(UTC)
    launch_id = str(ULID.from_datetime(at))
    username = f"user-{launch_id.lower()}"
    first = Event(launch_id=launch_id, seq=1, at=at, attempt=1, phase=Status.WAITING, progress=0, message="Accepted")
    return Launch(
        id=launch_id,
        caller=Caller(kind="anonymous", key=f"192.0.2.{number % 250}"),
        request=LaunchRequest(image="quay.io/jupyter/base-notebook:latest", repo_url=f"https://example.org/{number}"),
        status=Status.WAITING,
        created_at=at,
        deadline_at=at + timedelta(seconds=600),
        attempt=Attempt(launch_id=launch_id, number=1, username=username),
        last_event=first,
    )


def _same(_: object) -> float:
    return 1.0


async def _timed(name: str, do: Callable[[], Awaitable[Any]], *, times: int = TIMES) -> Figure:
    spent = []
    for _ in range(times):
        began = time.perf_counter()
        await do()
        spent.append((time.perf_counter() - began) * 1000)
    return _figure(name, spent)


def _figure(name: str, values: list[float]) -> Figure:
    return Figure(
        goal="5", name=name, values=(statistics.median(values),) if len(values) > 9 else tuple(values), unit="ms"
    )
