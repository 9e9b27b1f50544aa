"""Use of rate limits in a database: as in memory, and over several processes."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, select, update

from hublaunch.launch.rules.rate_limit import Limit, Rate
from hublaunch.sealing import Sealer
from hublaunch.store.sql import SqlLaunchStore
from hublaunch.store.tables import rate_limits
from tests.store.databases import postgresql_only
from tests.store.launches import accepted
from tests.support.postgres import Postgres

HOUR = Rate(5, 3600)
ADA = Limit(name="caller", subject="hub:ada", rate=HOUR)
HERE = Limit(name="address", subject="address:192.0.2.1", rate=Rate(3, 3600))

pytestmark = pytest.mark.timeout(60)


def free_at(store: SqlLaunchStore) -> dict[str, datetime]:
    with store.database.reading.connect() as connection:
        return {row.key: row.free_at for row in connection.execute(select(rate_limits))}


async def test_a_request_takes_one_of_each_limit_or_none(store: SqlLaunchStore) -> None:
    verdicts = [await store.rate_counts.take([ADA, HERE]) for _ in range(4)]

    assert [verdict.allowed for verdict in verdicts] == [True, True, True, False]
    assert [[room.left for room in verdict.allowances] for verdict in verdicts] == [[4, 2], [3, 1], [2, 0], [2, 0]]
    assert (await store.rate_counts.take([ADA])).allowances[0].left == 1


async def test_simultaneous_requests_are_counted_one_by_one(store: SqlLaunchStore) -> None:
    verdicts = await asyncio.gather(*(store.rate_counts.take([ADA]) for _ in range(20)))

    assert sorted(verdict.allowed for verdict in verdicts) == [False] * 15 + [True] * 5


async def test_inspecting_limits_takes_nothing(store: SqlLaunchStore) -> None:
    for _ in range(9):
        assert (await store.rate_counts.inspect([ADA])).allowances[0].left == 5
    await store.rate_counts.take([ADA])

    assert (await store.rate_counts.inspect([ADA])).allowances[0].left == 4


async def test_owed_requests_are_counted_without_room(store: SqlLaunchStore) -> None:
    for _ in range(7):
        await store.rate_counts.owe([ADA])

    verdict = await store.rate_counts.inspect([ADA])

    assert not verdict.allowed
    assert verdict.allowances[0].wait > 2 * HOUR.interval


async def test_there_is_room_again_once_time_has_passed(store: SqlLaunchStore) -> None:
    while (verdict := await store.rate_counts.take([ADA])).allowed:
        pass
    earlier = free_at(store)[ADA.key] - verdict.allowances[0].wait
    with store.database.writing.begin() as connection:
        connection.execute(update(rate_limits).values(free_at=earlier))

    verdicts = [await store.rate_counts.take([ADA]) for _ in range(2)]

    assert [verdict.allowed for verdict in verdicts] == [True, False]


async def test_only_free_limits_are_removed(store: SqlLaunchStore) -> None:
    long_ago = datetime.now(UTC) - timedelta(seconds=1)
    with store.database.writing.begin() as connection:
        connection.execute(insert(rate_limits), [{"key": f"address {n}", "free_at": long_ago} for n in range(2500)])
    await store.rate_counts.take([ADA])

    await store.rate_counts.prune()

    assert list(free_at(store)) == [ADA.key]


async def test_counts_outlast_a_restart(url: str, sealer: Sealer) -> None:
    allowed = []
    for _ in range(2):
        async with SqlLaunchStore(url, sealer=sealer) as store:
            allowed += [(await store.rate_counts.take([HERE])).allowed for _ in range(2)]

    assert allowed == [True, True, True, False]


@postgresql_only
async def test_processes_share_limits_without_deadlocks(url: str, sealer: Sealer, postgres: Postgres) -> None:
    limits = [Limit(name="address", subject=f"address:192.0.2.{n}", rate=Rate(200, 3600)) for n in range(2)]
    stores = [SqlLaunchStore(url, sealer=sealer) for _ in range(3)]
    await asyncio.gather(*(store.__aenter__() for store in stores))

    async def take_one_by_one(store: SqlLaunchStore, limits: list[Limit]) -> list[bool]:
        return [(await store.rate_counts.take(limits)).allowed for _ in range(150)]

    allowed = await asyncio.gather(
        take_one_by_one(stores[0], limits),
        take_one_by_one(stores[1], limits[::-1]),
        take_one_by_one(stores[2], limits),
    )

    assert [one for each in allowed for one in each].count(True) == 200
    assert [room.left for room in (await stores[0].rate_counts.inspect(limits)).allowances] == [0, 0]
    await asyncio.gather(*(store.__aexit__() for store in stores))
    assert postgres.deadlocks(url) == 0


@postgresql_only
async def test_a_slow_count_elsewhere_delays_no_launch(url: str, store: SqlLaunchStore, sealer: Sealer) -> None:
    await store.rate_counts.take([ADA])
    async with SqlLaunchStore(url, sealer=sealer) as other:
        with other.database.counting.begin() as slow:
            slow.execute(update(rate_limits).values(free_at=rate_limits.c.free_at))
            waiting = asyncio.create_task(store.rate_counts.take([ADA]))
            await asyncio.sleep(0)  # so that the count is requested before the launch
            await accepted(store)
            assert not waiting.done()

    assert (await waiting).allowed
