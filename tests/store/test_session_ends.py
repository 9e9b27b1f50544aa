"""The ends of sessions: each is found once, and an extension moves it."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from hublaunch.launch.caller import Caller
from hublaunch.launch.errors import IdempotencyKeyReused, LaunchNotFound, NothingToExtend, SessionLimitReached
from hublaunch.launch.model import Launch, Status
from hublaunch.launch.news import News, SessionEnded, SessionExtended, SessionWarned
from hublaunch.launch.ports import Extension
from hublaunch.launch.rules.session import SessionTerms
from hublaunch.sealing import Sealer
from hublaunch.store.sql import SqlLaunchStore
from tests.store.databases import postgresql_only
from tests.store.launches import PULLING, READY, accepted, new_launch, read_back

ADA = Caller(kind="hub", key="ada")
HOURS = SessionTerms(most_s=3600, most_extended_s=3 * 3600)
OVER_S = 1e-6
"""A session that is over immediately."""


async def ready_for(store: SqlLaunchStore, session_s: float | None) -> Launch:
    """Return a ready launch whose server may run this long."""
    launch = await accepted(store)
    await store.log.append(launch, PULLING)
    await store.log.append(launch, replace(READY, session_s=session_s))
    return await read_back(store, launch)


def told_of_sessions(store: SqlLaunchStore) -> list[News]:
    """Return a list that receives all news of sessions from now on."""
    told: list[News] = []

    def hear(news: News) -> None:
        if isinstance(news, SessionWarned | SessionEnded | SessionExtended):
            told.append(news)

    store.news.subscribe(hear)
    return told


def extension(launch: Launch, *, seconds: int = 600, key: str | None = None) -> Extension:
    return Extension(launch_id=launch.id, seconds=seconds, key=key)


async def test_the_session_begins_when_the_server_is_ready(store: SqlLaunchStore) -> None:
    limited, unlimited = await ready_for(store, 3600), await ready_for(store, None)

    assert limited.ended_at is not None
    assert limited.will_end_at == limited.ended_at + timedelta(seconds=3600)
    assert unlimited.will_end_at is None


async def test_a_launch_is_warned_once_shortly_before_its_end(store: SqlLaunchStore) -> None:
    soon, later = await ready_for(store, 300), await ready_for(store, 3600)
    await ready_for(store, None)
    told = told_of_sessions(store)

    counts = [await store.session_ends.warn(before_s=600, limit=9) for _ in range(2)]

    assert counts == [1, 0]
    assert told == [SessionWarned(launch_id=soon.id, will_end_at=soon.will_end_at or later.created_at)]


async def test_an_extended_launch_is_warned_again(store: SqlLaunchStore) -> None:
    launch = await ready_for(store, 300)
    await store.session_ends.warn(before_s=600, limit=9)

    await store.session_ends.extend(extension(launch, seconds=60), terms=HOURS, by=ADA)

    assert await store.session_ends.warn(before_s=600, limit=9) == 1


async def test_a_session_that_is_over_ends_once_and_its_launch_is_adopted(store: SqlLaunchStore) -> None:
    over, running = await ready_for(store, OVER_S), await ready_for(store, 3600)
    told = told_of_sessions(store)

    counts = [await store.session_ends.end(limit=9) for _ in range(2)]
    adopted = await store.ownership.adopt(limit=9)

    assert counts == [1, 0]
    assert told == [SessionEnded(launch_id=over.id)]
    assert [launch.id for launch in adopted] == [over.id]
    assert adopted[0].has_outlived_session
    assert not (await read_back(store, running)).has_outlived_session


async def test_a_launch_that_its_caller_cancelled_before_its_end_counts_as_cancelled(store: SqlLaunchStore) -> None:
    launch = await ready_for(store, 3600)

    await store.ownership.request_cancel(launch.id, by=ADA)

    assert not (await read_back(store, launch)).has_outlived_session
    assert await store.session_ends.next_in_s() is None


async def test_sessions_end_in_batches_the_longest_due_first(store: SqlLaunchStore) -> None:
    launches = [await ready_for(store, OVER_S) for _ in range(3)]
    told = told_of_sessions(store)

    counts = [await store.session_ends.end(limit=2) for _ in range(3)]

    assert counts == [2, 1, 0]
    assert told == [SessionEnded(launch_id=launch.id) for launch in launches]


@postgresql_only
async def test_processes_that_race_end_each_session_once(url: str, sealer: Sealer) -> None:
    async with (
        SqlLaunchStore(url, sealer=sealer) as one,
        SqlLaunchStore(url, sealer=sealer) as two,
        SqlLaunchStore(url, sealer=sealer) as three,
    ):
        launches = [await ready_for(one, OVER_S) for _ in range(12)]
        told = [told_of_sessions(store) for store in (one, two, three)]

        await asyncio.gather(*(store.session_ends.end(limit=3) for _ in range(6) for store in (one, two, three)))

    ended = [news.launch_id for heard in told for news in heard if isinstance(news, SessionEnded)]
    assert sorted(ended) == sorted(launch.id for launch in launches)


async def test_the_next_end_is_that_of_the_shortest_session(store: SqlLaunchStore) -> None:
    none = await store.session_ends.next_in_s()
    await ready_for(store, None)
    await ready_for(store, 7200)
    await ready_for(store, 3600)

    next_in_s = await store.session_ends.next_in_s()

    assert none is None
    assert next_in_s is not None
    assert 3500 < next_in_s <= 3600


async def test_an_extension_moves_the_end_and_is_published(store: SqlLaunchStore) -> None:
    launch = await ready_for(store, 3600)
    told = told_of_sessions(store)

    await store.session_ends.extend(extension(launch), terms=HOURS, by=ADA)

    extended = await read_back(store, launch)
    assert launch.will_end_at is not None
    assert extended.will_end_at == launch.will_end_at + timedelta(seconds=600)
    assert told == [SessionExtended(launch_id=launch.id, seconds=600, will_end_at=extended.will_end_at, by=ADA)]


async def test_a_repeated_key_extends_once_even_after_the_end(store: SqlLaunchStore) -> None:
    launch = await ready_for(store, 3600)
    told = told_of_sessions(store)

    for _ in range(2):
        await store.session_ends.extend(extension(launch, key="one"), terms=HOURS, by=ADA)
    await store.session_ends.extend(extension(launch, key="two"), terms=HOURS, by=ADA)
    await store.session_ends.extend(extension(launch, key="one"), terms=HOURS, by=ADA)
    await store.ownership.request_cancel(launch.id)
    await store.session_ends.extend(extension(launch, key="two"), terms=HOURS, by=ADA)

    assert len(told) == 2


async def test_a_key_belongs_to_one_extension(store: SqlLaunchStore) -> None:
    launch = await ready_for(store, 3600)
    await store.session_ends.extend(extension(launch, key="one"), terms=HOURS, by=ADA)

    with pytest.raises(IdempotencyKeyReused):
        await store.session_ends.extend(extension(launch, key="one", seconds=900), terms=HOURS, by=ADA)


async def test_an_extension_reaches_the_limit_but_not_beyond(store: SqlLaunchStore) -> None:
    launch = await ready_for(store, 3600)
    await store.session_ends.extend(extension(launch, seconds=2 * 3600), terms=HOURS, by=ADA)

    with pytest.raises(SessionLimitReached, match=r"must end by \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"):
        await store.session_ends.extend(extension(launch, seconds=60), terms=HOURS, by=ADA)

    extended = await read_back(store, launch)
    assert HOURS.extendable_until(extended) is None
    assert HOURS.extendable_until(launch) == extended.will_end_at


async def test_without_a_second_limit_nothing_is_extended(store: SqlLaunchStore) -> None:
    launch, terms = await ready_for(store, 3600), SessionTerms(most_s=3600)

    with pytest.raises(SessionLimitReached, match="cannot be extended"):
        await store.session_ends.extend(extension(launch), terms=terms, by=ADA)

    assert terms.extendable_until(launch) is None


async def test_only_a_running_server_with_an_end_is_extended(store: SqlLaunchStore) -> None:
    waiting, unlimited, over = await accepted(store), await ready_for(store, None), await ready_for(store, OVER_S)
    cancelled, stopped = await ready_for(store, 3600), await ready_for(store, 3600)
    await store.ownership.request_cancel(cancelled.id)
    await store.upkeep.mark_stopped(stopped, stopped_by="hub", clean_in_s=None)

    for launch, sentence in (
        (waiting, "not running"),
        (unlimited, "without a time limit"),
        (over, "not running"),
        (cancelled, "not running"),
        (stopped, "not running"),
    ):
        with pytest.raises(NothingToExtend, match=sentence):
            await store.session_ends.extend(extension(launch), terms=HOURS, by=ADA)
    with pytest.raises(LaunchNotFound):
        await store.session_ends.extend(extension(new_launch()), terms=HOURS, by=ADA)


@postgresql_only
async def test_extensions_of_several_processes_add_up_within_the_limit(
    store: SqlLaunchStore, other: SqlLaunchStore
) -> None:
    launch = await ready_for(store, 3600)

    answers = await asyncio.gather(
        *(
            one.session_ends.extend(extension(launch, seconds=1800, key=f"{n}"), terms=HOURS, by=ADA)
            for n, one in enumerate((store, other) * 4)
        ),
        return_exceptions=True,
    )

    extended = await read_back(store, launch)
    assert (extended.status, extended.ended_at) == (Status.READY, launch.ended_at)
    assert launch.ended_at is not None
    assert extended.will_end_at == launch.ended_at + timedelta(hours=3)
    assert [type(answer) for answer in answers].count(SessionLimitReached) == 4
