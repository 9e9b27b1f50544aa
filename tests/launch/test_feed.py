"""Followers of one log, fed by this process and by others."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from hublaunch.launch.course.admission import Position
from hublaunch.launch.feed import Feed
from hublaunch.launch.model import Event, Launch, Status, Step
from hublaunch.store.log import SqlLog
from hublaunch.store.sql import SqlLaunchStore
from tests.store.launches import CANCELLED, PULLING, READY, accepted
from tests.support.launching import SEALER
from tests.support.sqlite import migrated

SECOND = Position(position=2, queue_size=5, eta_s=20, eta_basis="recent admissions")
FIRST = Position(position=1, queue_size=3, eta_s=None, eta_basis=None)
IDLE_S = 0.01
ADMITTED = Position(position=0, queue_size=5, eta_s=0, eta_basis=None)

Following = AsyncGenerator[Sequence[Event] | Position]
InQueue = tuple[Feed, Launch, Following]


class GatedLog(SqlLog):
    """Reads return the events stored when they began, once the gate is open."""

    gate: asyncio.Event
    read: asyncio.Event

    async def events(self, launch_id: str, *, after: int) -> Sequence[Event]:
        stored = await super().events(launch_id, after=after)
        self.read.set()
        await self.gate.wait()
        return stored


class GatedStore(SqlLaunchStore):
    """A store whose log is gated."""

    def __init__(self, path: Path) -> None:
        super().__init__(migrated(path / "l.sqlite"), sealer=SEALER)
        self.log = log = GatedLog(self.sql, self.news, SEALER)
        log.gate, log.read = self.gate, self.read = asyncio.Event(), asyncio.Event()
        self.gate.set()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[GatedStore]:
    async with GatedStore(tmp_path) as store, asyncio.timeout(20):
        yield store


def following_feed(store: SqlLaunchStore, *, idle_s: float = IDLE_S) -> Feed:
    feed = Feed(store.log, idle_s=idle_s)
    store.news.subscribe(feed.on_news)
    return feed


async def seqs(feed: Feed, launch: Launch) -> list[int]:
    """Return the numbers of all events, once the stream has ended."""
    return [
        event.seq
        for news in [news async for news in feed.follow(launch.id)]
        if not isinstance(news, Position)
        for event in news
    ]


async def test_followers_of_a_launch_accepted_here_cause_no_read(store: GatedStore) -> None:
    feed = following_feed(store, idle_s=60)
    launch = await accepted(store)
    await store.log.append(launch, PULLING)
    await store.log.append(launch, READY)

    assert await seqs(feed, launch) == [1, 2, 3]
    assert not store.read.is_set()


async def test_a_launch_without_followers_is_forgotten_after_the_idle_time(store: GatedStore) -> None:
    feed = following_feed(store)
    launch, later = await accepted(store), await accepted(store)
    async with aclosing(feed.follow(later.id)) as following:
        while await anext(following):
            pass  # until the later launch was idle
    await store.log.append(launch, PULLING)
    await store.log.append(launch, READY)

    assert await seqs(feed, launch) == [1, 2, 3]
    assert store.read.is_set()


async def test_a_read_abandoned_by_its_followers_does_not_harm_later_ones(store: GatedStore) -> None:
    launch = await accepted(store)
    feed = following_feed(store)
    store.gate.clear()
    first = asyncio.create_task(seqs(feed, launch))
    await store.read.wait()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    store.gate.set()
    async with aclosing(feed.follow(launch.id)) as following:
        await anext(following)
        for _ in range(3):
            assert await anext(following) == ()
        await store.log.append(launch, PULLING)

        while not (news := await anext(following)):
            assert feed.followers == 1

    assert not isinstance(news, Position)
    assert [event.seq for event in news] == [2]


async def test_a_shared_read_that_began_before_the_last_event_does_not_stall_a_stream(store: GatedStore) -> None:
    launch = await accepted(store)
    feed = Feed(store.log, idle_s=IDLE_S)  # not subscribed: another process owns the launch, and the test notifies
    first = asyncio.create_task(seqs(feed, launch))
    await store.read.wait()
    second_event = await store.log.append(launch, PULLING)
    store.gate.clear()
    store.read.clear()
    feed.note(launch.id, 2)
    await store.read.wait()
    feed.publish(second_event)
    feed.publish(await store.log.append(launch, PULLING))
    await store.log.append(launch, READY)
    feed.note(launch.id, 4)
    second = asyncio.create_task(seqs(feed, launch))
    await asyncio.sleep(0)

    store.gate.set()

    assert await first == [1, 2, 3, 4]
    assert await second == [1, 2, 3, 4]


@pytest.fixture
async def in_queue(store: GatedStore) -> AsyncIterator[InQueue]:
    """A launch with a follower that got its first event and its position in the queue."""
    launch = await accepted(store)
    feed = following_feed(store)
    async with aclosing(feed.follow(launch.id)) as following:
        await anext(following)
        feed.publish_positions({launch.id: SECOND})
        assert await anext(following) == SECOND
        yield feed, launch, following


async def phases(following: Following) -> list[Status]:
    """Return the phases of the next events."""
    news = await anext(following)
    assert not isinstance(news, Position)
    return [event.phase for event in news]


async def test_position_0_comes_before_the_events_after_admission(store: GatedStore, in_queue: InQueue) -> None:
    _, launch, following = in_queue
    await store.log.append(launch, PULLING)
    await store.log.append(launch, READY)

    assert await anext(following) == ADMITTED
    assert await phases(following) == [Status.LAUNCHING, Status.READY]
    assert [news async for news in following] == []


async def test_position_0_comes_even_if_the_queue_was_published_without_the_launch_before(
    store: GatedStore, in_queue: InQueue
) -> None:
    feed, launch, following = in_queue
    feed.publish_positions({})
    await store.log.append(launch, PULLING)

    assert await anext(following) == ADMITTED


async def test_a_follower_that_got_no_position_gets_no_position_0(store: GatedStore) -> None:
    launch = await accepted(store)
    feed = following_feed(store)
    await store.log.append(launch, PULLING)
    await store.log.append(launch, READY)

    assert not [news async for news in feed.follow(launch.id) if isinstance(news, Position)]


async def test_a_launch_that_ends_in_the_queue_never_has_position_0(store: GatedStore, in_queue: InQueue) -> None:
    _, launch, following = in_queue
    await store.log.append(launch, CANCELLED)

    assert await phases(following) == [Status.CANCELLED]
    assert [news async for news in following] == []


async def test_a_position_after_the_admission_is_dropped(store: GatedStore, in_queue: InQueue) -> None:
    feed, launch, following = in_queue
    await store.log.append(launch, PULLING)
    feed.publish_positions({launch.id: FIRST})

    assert await anext(following) == ADMITTED
    assert await phases(following) == [Status.LAUNCHING]
    assert await anext(following) == ()


async def test_a_requeued_launch_has_a_position_again_and_then_position_0(store: GatedStore, in_queue: InQueue) -> None:
    feed, launch, following = in_queue
    await store.log.append(launch, PULLING)
    assert await anext(following) == ADMITTED
    assert await phases(following) == [Status.LAUNCHING]

    await store.log.append(launch, Step(phase=Status.WAITING, progress=None, message="JupyterHub is at its limit"))
    feed.publish_positions({launch.id: FIRST})
    assert await phases(following) == [Status.WAITING]
    assert await anext(following) == FIRST
    await store.log.append(launch, PULLING)

    assert await anext(following) == replace(ADMITTED, queue_size=FIRST.queue_size)


async def test_a_queue_has_followers_while_a_queued_launch_is_followed(store: GatedStore) -> None:
    launch = await accepted(store)
    feed = following_feed(store, idle_s=60)
    unfollowed = feed.any_in_queue
    async with aclosing(feed.follow(launch.id)) as following:
        await anext(following)
        queued = feed.any_in_queue
        await store.log.append(launch, PULLING)
        admitted = feed.any_in_queue

    assert (unfollowed, queued, admitted) == (False, True, False)


async def test_a_queue_has_no_followers_once_the_last_one_leaves(in_queue: InQueue) -> None:
    feed, _, following = in_queue
    await following.aclose()

    assert not feed.any_in_queue
