"""Followers of one log, told by this process and by others."""

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
from tests.store.launches import CANCELLED, PULLING, READY, new_launch
from tests.support.launching import SEALER

SECOND = Position(position=2, queue_size=5, eta_s=20, eta_basis="what was lately")
FIRST = Position(position=1, queue_size=3, eta_s=None, eta_basis=None)
IDLE_S = 0.01
ADMITTED = Position(position=0, queue_size=5, eta_s=0, eta_basis=None)

Following = AsyncGenerator[Sequence[Event] | Position]


class GatedLog(SqlLog):
    """Its reads take what is stored when they begin, and return when the gate is open."""

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
        super().__init__(f"sqlite:///{path}/l.sqlite", sealer=SEALER)
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


async def accepted(store: SqlLaunchStore) -> Launch:
    launch = new_launch()
    await store.intake.accept(launch)
    return launch


async def seqs(feed: Feed, launch: Launch) -> list[int]:
    """Of all events, once the stream has ended."""
    return [
        event.seq
        for news in [news async for news in feed.follow(launch.id)]
        if not isinstance(news, Position)
        for event in news
    ]


async def test_who_follows_a_launch_that_was_accepted_here_is_told_without_a_read(store: GatedStore) -> None:
    feed = following_feed(store, idle_s=60)
    launch = await accepted(store)
    await store.log.append(launch, PULLING)
    await store.log.append(launch, READY)

    assert await seqs(feed, launch) == [1, 2, 3]
    assert not store.read.is_set()


async def test_a_launch_that_nobody_follows_is_forgotten_once_nothing_is_heard_of_it(store: GatedStore) -> None:
    feed = following_feed(store)
    launch, later = await accepted(store), await accepted(store)
    async with aclosing(feed.follow(later.id)) as following:
        while await anext(following):
            pass  # until nothing was heard of the later one for the idle time
    await store.log.append(launch, PULLING)
    await store.log.append(launch, READY)

    assert await seqs(feed, launch) == [1, 2, 3]
    assert store.read.is_set()


async def test_a_read_that_its_followers_did_not_wait_for_takes_nothing_from_those_who_come_later(
    store: GatedStore,
) -> None:
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


async def test_a_stream_goes_on_when_it_shares_a_read_that_began_before_the_last_event(store: GatedStore) -> None:
    launch = await accepted(store)
    feed = Feed(store.log, idle_s=IDLE_S)  # not subscribed: another process has the launch, and the test notifies
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
async def in_queue(store: GatedStore) -> AsyncIterator[tuple[Feed, Launch, Following]]:
    """A launch with a follower who was told of its acceptance and of its place in the queue."""
    launch = await accepted(store)
    feed = following_feed(store)
    async with aclosing(feed.follow(launch.id)) as following:
        await anext(following)
        feed.publish_positions({launch.id: SECOND})
        assert await anext(following) == SECOND
        yield feed, launch, following


async def phases(following: Following) -> list[Status]:
    """Of the next events, which must come next."""
    news = await anext(following)
    assert not isinstance(news, Position)
    return [event.phase for event in news]


async def test_a_place_in_queue_falls_to_0_before_what_follows_from_the_admission(
    store: GatedStore, in_queue: tuple[Feed, Launch, Following]
) -> None:
    _, launch, following = in_queue
    await store.log.append(launch, PULLING)
    await store.log.append(launch, READY)

    assert await anext(following) == ADMITTED
    assert await phases(following) == [Status.LAUNCHING, Status.READY]
    assert [news async for news in following] == []


async def test_a_place_in_queue_falls_to_0_though_the_queue_was_looked_at_meanwhile(
    store: GatedStore, in_queue: tuple[Feed, Launch, Following]
) -> None:
    feed, launch, following = in_queue
    feed.publish_positions({})
    await store.log.append(launch, PULLING)

    assert await anext(following) == ADMITTED


async def test_who_saw_no_place_in_queue_is_told_of_no_0(store: GatedStore) -> None:
    launch = await accepted(store)
    feed = following_feed(store)
    await store.log.append(launch, PULLING)
    await store.log.append(launch, READY)

    assert not [news async for news in feed.follow(launch.id) if isinstance(news, Position)]


async def test_a_launch_that_ends_in_queue_does_not_get_to_0(
    store: GatedStore, in_queue: tuple[Feed, Launch, Following]
) -> None:
    _, launch, following = in_queue
    await store.log.append(launch, CANCELLED)

    assert await phases(following) == [Status.CANCELLED]
    assert [news async for news in following] == []


async def test_a_place_that_is_told_late_is_not_passed_on(
    store: GatedStore, in_queue: tuple[Feed, Launch, Following]
) -> None:
    feed, launch, following = in_queue
    await store.log.append(launch, PULLING)
    feed.publish_positions({launch.id: FIRST})

    assert await anext(following) == ADMITTED
    assert await phases(following) == [Status.LAUNCHING]
    assert await anext(following) == ()


async def test_a_launch_that_is_back_in_queue_has_a_place_again_and_falls_to_0_again(
    store: GatedStore, in_queue: tuple[Feed, Launch, Following]
) -> None:
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


async def test_there_is_a_line_to_see_while_a_launch_that_is_followed_stands_in_it(
    store: GatedStore, in_queue: tuple[Feed, Launch, Following]
) -> None:
    feed, launch, _ = in_queue
    seen = [feed.any_in_queue]
    await store.log.append(launch, PULLING)

    assert [*seen, feed.any_in_queue] == [True, False]


async def test_there_is_no_line_to_see_before_anybody_follows(store: GatedStore) -> None:
    feed = following_feed(store, idle_s=60)
    await accepted(store)

    assert not feed.any_in_queue


async def test_there_is_no_line_to_see_once_nobody_follows(in_queue: tuple[Feed, Launch, Following]) -> None:
    feed, _, following = in_queue
    seen = [feed.any_in_queue]
    await following.aclose()

    assert [*seen, feed.any_in_queue] == [True, False]
