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
from starlette.types import Send

from app.api.sight import Sight
from app.api.views import Views
from app.launch.admission import Position
from app.launch.feed import Feed
from app.launch.model import Launch

HEARTBEAT_S = 15.0
_HEARTBEAT = b"event: heartbeat\ndata: {}\n\n"
"""Named and without an id: a page can see by it that the connection lives, and it moves no cursor."""


class EventStream(EventSourceResponse):
    """EventSourceResponse for blocks that are encoded already: no ping of its own, no work beside `send` per event.

    The streams end when the feed does, so the parent's own watch for a shutdown, which breaks them off, is left out;
    and the parent's debug line per chunk would log tokens. `tests/api/test_sse.py` holds the parent to the methods
    that are replaced here.
    """

    def __init__(self, blocks: AsyncGenerator[bytes], *, headers: dict[str, str]) -> None:
        super().__init__(blocks, headers={"Cache-Control": "no-cache, no-transform", **headers}, ping=0)
        del self.headers["Connection"]  # which HTTP/2 forbids, and HTTP/1.1 does not need
        self._blocks = blocks

    async def _stream_response(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(self._blocks):
            async for block in self._blocks:
                await send({"type": "http.response.body", "body": block, "more_body": True})
        self.active = False
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _listen_for_exit_signal_with_grace(self) -> None:
        await asyncio.Event().wait()


def wants_stream(accept: str) -> bool:
    """Whether an Accept names event streams; `*/*` does not."""
    return any(part.partition(";")[0].strip() == "text/event-stream" for part in accept.lower().split(","))


async def event_blocks(feed: Feed, views: Views, launch: Launch, *, after: int, sight: Sight) -> AsyncGenerator[bytes]:
    """The launch's events above `after`, as many in one block as there are, with a heartbeat while there are none.

    The first block goes out at once, so that every proxy passes the headers on; it and the last tell the client to
    wait a moment of its own before it reconnects.
    """
    yield retry_block()
    async with aclosing(feed.follow(launch.id, after=after, idle_s=HEARTBEAT_S)) as batches:
        async for news in batches:
            if isinstance(news, Position):
                yield _position_block(news)
            else:
                yield b"".join([views.sse(event, launch, sight=sight) for event in news]) or _HEARTBEAT
    yield retry_block()


@lru_cache(maxsize=4096)
def _position_block(position: Position) -> bytes:
    """Named and without an id, as a heartbeat. Encoded once, however many follow."""
    return f"event: position\ndata: {json.dumps(asdict(position), separators=(',', ':'))}\n\n".encode()


def retry_block() -> bytes:
    """Tells the client to wait a moment of its own before it reconnects."""
    return b"retry: %d\n\n" % random.randint(1000, 3000)  # noqa: S311
