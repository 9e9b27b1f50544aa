"""Event streams, as the ASGI server sees them."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable

import pytest
from starlette.types import Message, Scope

from hublaunch.api.pace import WebPace
from hublaunch.api.sse import EventStreamResponse
from hublaunch.launch.pace import Pace
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.served import IMAGE, serve


class Reader:
    """The server's side of an answer."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.written: list[bytes] = []
        """The messages that bypassed the middleware."""
        self.has_left = asyncio.Event()

    @property
    def scope(self) -> Scope:
        return {"type": "http", "method": "GET", "send_body": self.write}

    async def receive(self) -> Message:
        await self.has_left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self.has_left.set()

    async def write(self, message: Message) -> None:
        self.written.append(message["body"])


class Blocks:
    """The blocks of a stream, and whether it was closed."""

    def __init__(self, then: Callable[[], object] = lambda: None) -> None:
        self._then = then
        self.waits = asyncio.Event()
        self.are_closed = False

    async def once(self) -> AsyncGenerator[bytes]:
        try:
            yield b"first"
            self._then()
            yield b"second"
        finally:
            self.are_closed = True

    async def for_ever(self) -> AsyncGenerator[bytes]:
        try:
            yield b"first"
            self.waits.set()
            await asyncio.Event().wait()
        finally:
            self.are_closed = True


async def answer(blocks: AsyncGenerator[bytes], reader: Reader) -> None:
    async with asyncio.timeout(5):
        await EventStreamResponse(blocks, headers={})(reader.scope, reader.receive, reader.send)


async def test_blocks_bypass_the_middleware_and_head_and_end_do_not() -> None:
    reader = Reader()

    await answer(Blocks().once(), reader)

    assert [message["type"] for message in reader.sent] == ["http.response.start", "http.response.body"]
    assert reader.sent[-1]["body"] == b""
    assert reader.written == [b"first", b"second"]


async def test_a_stream_is_closed_when_its_reader_disconnects() -> None:
    reader, blocks = Reader(), Blocks()
    answering = asyncio.create_task(answer(blocks.for_ever(), reader))
    async with asyncio.timeout(5):
        await blocks.waits.wait()

    reader.has_left.set()
    await answering

    assert blocks.are_closed
    assert reader.sent[-1]["type"] == "http.response.start", "nobody is left to receive the end"


async def test_a_stream_is_closed_when_its_answer_is_cancelled() -> None:
    reader, blocks = Reader(), Blocks()
    answering = asyncio.create_task(answer(blocks.for_ever(), reader))
    async with asyncio.timeout(5):
        await blocks.waits.wait()

    answering.cancel()

    with pytest.raises(asyncio.CancelledError):
        await answering
    assert blocks.are_closed


async def test_an_error_in_a_stream_is_raised_unchanged() -> None:
    def fail() -> None:
        raise LookupError("of the store")

    blocks = Blocks(fail)

    with pytest.raises(LookupError, match="of the store"):
        await answer(blocks.once(), Reader())
    assert blocks.are_closed


@pytest.mark.parametrize("path", ["events", "build"])
async def test_every_block_of_a_stream_has_data_that_is_json(settings: Settings, hub: FakeHub, path: str) -> None:
    """httpx-sse reads a block without data, such as `retry:` or a comment alone, as an event."""
    hub.spawn_plan(None, SpawnPlan(messages=["Pulling"], never=True))
    sign = "event: heartbeat" if path == "events" else ":keepalive"
    text = ""
    served = settings.model_copy(update={"binder_images": {"gh/org/*/*": IMAGE}})
    async with serve(served, pace=Pace(heartbeat_s=0.05), web_pace=WebPace(build_linger_s=0)) as service:
        url = (await service.launch())["events_url"] if path == "events" else "/build/gh/org/repo/main"
        async with service.http.stream("GET", url, headers={"Accept": "text/event-stream"}) as stream:
            async for part in stream.aiter_text():
                text += part
                for user in hub.users if sign in text else ():
                    if hub.is_spawning(user):
                        hub.release(user)

    *blocks, rest = text.split("\n\n")
    assert rest == ""
    assert blocks[0].startswith("retry: ")
    for block in blocks:
        (data,) = [line[6:] for line in block.split("\n") if line.startswith("data: ")]
        assert json.loads(data) is not None
    assert sign in text
