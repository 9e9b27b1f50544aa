"""Followers of one log, told by this process and by others."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from app.launch.admission import Position
from app.launch.feed import Feed
from app.launch.model import Event, Launch
from app.store.sql import SqlLaunchStore
from tests.launching import SEALER
from tests.store.launches import PULLING, READY, new_launch

SECOND = Position(position=2, queue_size=5, eta_s=None, eta_basis=None)


class GatedStore(SqlLaunchStore):
    """Its reads take what is stored when they begin, and come back when the gate is open."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"sqlite:///{path}/l.sqlite", sealer=SEALER)
        self.gate = asyncio.Event()
        self.gate.set()
        self.read = asyncio.Event()

    async def events(self, launch_id: str, *, after: int) -> Sequence[Event]:
        stored = await super().events(launch_id, after=after)
        self.read.set()
        await self.gate.wait()
        return stored


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[GatedStore]:
    async with GatedStore(tmp_path) as store, asyncio.timeout(20):
        yield store


async def accepted(store: SqlLaunchStore) -> Launch:
    launch = new_launch()
    await store.accept(launch)
    return launch


async def seqs(feed: Feed, launch: Launch) -> list[int]:
    """Of all events, once the stream has ended."""
    return [
        event.seq
        for news in [news async for news in feed.follow(launch.id)]
        if not isinstance(news, Position)
        for event in news
    ]


async def test_a_stream_goes_on_when_it_shares_a_read_that_began_before_the_last_event(store: GatedStore) -> None:
    launch = await accepted(store)
    feed = Feed(store)
    store._listeners.clear()  # another process has the launch; the test tells what that would be told
    first = asyncio.create_task(seqs(feed, launch))
    await store.read.wait()
    second_event = await store.append(launch, PULLING)
    store.gate.clear()
    store.read.clear()
    feed.note(launch.id, 2)
    await store.read.wait()
    feed.publish(second_event)
    feed.publish(await store.append(launch, PULLING))
    await store.append(launch, READY)
    feed.note(launch.id, 4)
    second = asyncio.create_task(seqs(feed, launch))
    await asyncio.sleep(0)

    store.gate.set()

    assert await first == [1, 2, 3, 4]
    assert await second == [1, 2, 3, 4]


async def test_a_place_in_line_is_told_when_it_changes_and_no_more_once_the_launch_is_admitted(
    store: GatedStore,
) -> None:
    launch = await accepted(store)
    feed = Feed(store)
    following, later = feed.follow(launch.id), feed.follow(launch.id)
    await anext(following)

    feed.tell_positions({launch.id: SECOND})
    assert await anext(following) == SECOND
    await store.append(launch, PULLING)
    await anext(following)

    assert not isinstance(await anext(later), Position)
    assert await anext(feed.follow(launch.id, after=2, idle_s=0.01)) == ()
    await following.aclose()
    await later.aclose()
