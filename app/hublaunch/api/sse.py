"""A launch's events as a server-sent event stream.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import json
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict
from functools import lru_cache

from sse_starlette import EventSourceResponse
from starlette.types import Receive, Scope, Send

from hublaunch.api.accept import names_type
from hublaunch.api.views import Views
from hublaunch.api.visibility import Sight
from hublaunch.launch.course.admission import Position
from hublaunch.launch.feed import Feed
from hublaunch.launch.model import Launch

_HEARTBEAT = b"event: heartbeat\ndata: {}\n\n"
"""Named and without an id: a page can see by it that the connection lives, and it moves no cursor."""


class EventStream(EventSourceResponse):
    """EventSourceResponse for blocks that are encoded already; runs nothing but the stream and a watch for its reader.

    The parent's ping is the feed's heartbeat here, its watch for a shutdown, which breaks streams off, is left out, as
    they end with the feed, and its debug line per chunk would log tokens.
    """

    def __init__(self, blocks: AsyncGenerator[bytes], *, headers: dict[str, str]) -> None:
        super().__init__(blocks, headers={"Cache-Control": "no-cache, no-transform", **headers}, ping=0)
        del self.headers["Connection"]  # which HTTP/2 forbids, and HTTP/1.1 does not need
        self._blocks = blocks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the blocks until they end or their reader is gone; they are closed in either case.

        They go to the server by a way of their own, past the middlewares, to which a body says nothing, and from a
        task of its own, whose stack is short: with thousands of readers that is a third of what an event costs.
        """
        write = scope["send_body"]
        try:
            async with asyncio.TaskGroup() as group:
                streaming = group.create_task(self._stream(send, write))
                await _until_gone(receive)
                streaming.cancel()
        except BaseExceptionGroup as faults:
            raise faults.exceptions[0] from None

    async def _stream(self, send: Send, write: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(self._blocks):
            async for block in self._blocks:
                await write({"type": "http.response.body", "body": block, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _until_gone(receive: Receive) -> None:
    """Until the client has left, or has been sent the whole answer."""
    while (await receive())["type"] != "http.disconnect":
        pass


def wants_stream(accept: str) -> bool:
    """Return whether an Accept names event streams; `*/*` does not."""
    return names_type(accept, "text/event-stream")


async def event_blocks(feed: Feed, views: Views, launch: Launch, *, after: int, sight: Sight) -> AsyncGenerator[bytes]:
    """The launch's events above `after`, as many in one block as there are, with a heartbeat while there are none.

    The first line goes out at once, so that every proxy passes the headers on.
    """
    yield retry_line()
    async with aclosing(feed.follow(launch.id, after=after)) as batches:
        async for news in batches:
            if isinstance(news, Position):
                yield _position_block(news)
            else:
                yield views.sse(news, launch, sight=sight) if news else _HEARTBEAT


@lru_cache(maxsize=4096)
def _position_block(position: Position) -> bytes:
    """Named and without an id, as a heartbeat. Encoded once, however many follow."""
    return f"event: position\ndata: {json.dumps(asdict(position), separators=(',', ':'))}\n\n".encode()


def retry_line() -> bytes:
    """Return a line that has the client wait a random time before it reconnects, so that not all come at once.

    It belongs to the block of the event that follows: httpx-sse takes a block without data for an event.
    """
    return b"retry: %d\n" % random.randint(1000, 3000)  # noqa: S311
