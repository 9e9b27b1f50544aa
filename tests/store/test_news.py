"""News of the store other than events."""

import asyncio
from contextvars import ContextVar

import pytest

from hublaunch.launch.acceptance.idempotency import IdempotencyKey
from hublaunch.launch.caller import Caller
from hublaunch.launch.errors import LaunchNotFound, QueueFull
from hublaunch.launch.model import Event
from hublaunch.launch.news import Accepted, Adopted, CancelRequested, Cleaned, News, Stopped
from hublaunch.launch.rules.guard import Guard
from hublaunch.sealing import Sealer
from hublaunch.store.sql import SqlLaunchStore
from tests.store.launches import FAILED, PULLING, READY, accepted, heard_events, new_launch, second_attempt
from tests.store.writing import held_writer

ADA = Caller(kind="hub", key="ada")
UNGUARDED = Guard(mode="off", failure_limit=4)


def changes(store: SqlLaunchStore) -> list[News]:
    told: list[News] = []
    store.news.subscribe(lambda news: None if isinstance(news, Event) else told.append(news))
    return told


async def test_an_acceptance_is_published_once_per_key_and_not_if_refused(store: SqlLaunchStore) -> None:
    told, key = changes(store), IdempotencyKey(scope="s", request="r")
    launch = new_launch(caller=ADA)

    await store.intake.accept(launch, key)
    await store.intake.accept(new_launch(caller=ADA), key)
    with pytest.raises(QueueFull):
        await store.intake.accept(new_launch(caller=ADA), in_progress_max=1)

    assert told == [Accepted(launch=launch)]


async def test_a_failing_subscriber_is_logged_and_the_others_get_the_news(
    store: SqlLaunchStore, caplog: pytest.LogCaptureFixture
) -> None:
    def break_down(_: object) -> None:
        raise RuntimeError("broken listener")

    launches = [new_launch() for _ in range(3)]
    store.news.subscribe(break_down)
    heard, told = heard_events(store), changes(store)

    async with held_writer(store):  # so that they are stored and published together
        calls = [asyncio.create_task(store.intake.accept(launch)) for launch in launches]
        await asyncio.sleep(0)
    await asyncio.gather(*calls)

    assert heard == [launch.last_event for launch in launches]
    assert told == [Accepted(launch=launch) for launch in launches]
    assert caplog.text.count("RuntimeError: broken listener") == 6


async def test_the_first_request_to_cancel_is_published_with_its_caller(store: SqlLaunchStore) -> None:
    launch = await accepted(store)
    told = changes(store)

    await store.ownership.request_cancel(launch.id, by=ADA)
    await store.ownership.request_cancel(launch.id, by=ADA)
    with pytest.raises(LaunchNotFound):
        await store.ownership.request_cancel(new_launch().id, by=ADA)

    assert told == [CancelRequested(launch_id=launch.id, by=ADA)]


async def test_a_clean_up_is_late_after_the_launch_ended_or_began_another_attempt(store: SqlLaunchStore) -> None:
    in_time, over, gone_on = new_launch(), new_launch(), new_launch()
    for launch in (in_time, over, gone_on):
        await store.intake.accept(launch)
    await store.log.append(over, FAILED)
    await store.log.begin_attempt(gone_on, second_attempt(gone_on))
    told = changes(store)

    for launch in (in_time, over, gone_on):
        await store.upkeep.mark_cleaned(launch, launch.attempt)

    assert told == [
        Cleaned(attempt=in_time.attempt, is_late=False),
        Cleaned(attempt=over.attempt, is_late=True),
        Cleaned(attempt=gone_on.attempt, is_late=True),
    ]


async def test_adopted_and_stopped_launches_are_published(url: str, sealer: Sealer) -> None:
    ready, orphaned = new_launch(), new_launch()
    async with SqlLaunchStore(url, sealer=sealer) as former:
        for launch in (ready, orphaned):
            await former.intake.accept(launch)
        await former.log.append(ready, PULLING)
        await former.log.append(ready, READY)
        await former.ownership.release()
    async with SqlLaunchStore(url, sealer=sealer) as store:
        told = changes(store)

        adopted = await store.ownership.adopt(limit=10)
        await store.upkeep.mark_stopped(ready, stopped_by="hub", clean_in_s=None)

    assert [launch.id for launch in adopted] == [orphaned.id]
    assert told == [Adopted(launches=adopted), Stopped(launch_id=ready.id, stopped_by="hub")]


async def test_subscribers_are_called_in_the_callers_context(store: SqlLaunchStore) -> None:
    asked_by: ContextVar[str] = ContextVar("asked_by")
    heard: list[str] = []
    store.news.subscribe(lambda _: heard.append(asked_by.get()))
    asked_by.set("this test")

    await accepted(store)

    assert heard == ["this test", "this test"]


async def test_capacity_counts_the_queue_and_says_since_when_the_oldest_waits(store: SqlLaunchStore) -> None:
    empty = await store.queue.capacity(guard=UNGUARDED, most=50)
    waiting, admitted, ended = new_launch(), new_launch(), new_launch()
    for launch in (admitted, waiting, ended):
        await store.intake.accept(launch)
    await store.log.append(ended, FAILED)
    await store.queue.admit(most=1, weight=lambda _: 1.0, guard=UNGUARDED)

    capacity = await store.queue.capacity(guard=UNGUARDED, most=50)

    assert (empty.waiting, empty.launching, empty.waiting_since) == (0, 0, None)
    assert (capacity.waiting, capacity.launching) == (1, 1)
    assert capacity.waiting_since in (waiting.created_at, admitted.created_at)
