"""Following a launch over as many streams as it takes."""

import json
from collections.abc import AsyncGenerator, Iterator, Mapping

import httpx

from hublaunch.client.errors import LaunchClientError, ServiceUnavailable, UnexpectedAnswer, Unreachable
from hublaunch.client.event_stream import EventStream, EventTooLarge
from hublaunch.client.exchange import Exchange
from hublaunch.client.model import LaunchEvent, Position

_DIGITS_MAX = 10
"""A cursor with this many digits is not believed: no launch has so many events."""


async def follow(
    exchange: Exchange, path: str, *, after: int, headers: Mapping[str, str]
) -> AsyncGenerator[LaunchEvent | Position]:
    """Yield the events above the number `after`, up to the last, of the launch whose events are at `path`.

    While the launch is in the queue, its positions come between them. A stream that breaks is resumed after the last
    event, once the pause that the service asked for is over. Raises a LaunchClientError if no stream succeeds within
    the patience of the exchange.
    """
    patience = exchange.patience()
    while True:
        stream = EventStream()
        resumed = {"Last-Event-ID": str(after)} if after else {}
        fault: LaunchClientError
        try:
            async with exchange.stream(path, headers={"Accept": "text/event-stream", **headers, **resumed}) as response:
                if response.status_code == 204:
                    return
                after = _cursor(exchange.url, response, asked=after)
                async for chunk in response.aiter_bytes():
                    patience.renew()
                    for update in _updates(exchange.url, stream, chunk):
                        yield update
                        if isinstance(update, LaunchEvent):
                            after = update.seq
                            if update.is_last:
                                return
            fault = Unreachable(exchange.url, "the stream of events ended too soon")
        except LaunchClientError as error:
            fault = error
        pause_s = stream.retry_s if fault.retry_after_s is None else fault.retry_after_s
        # If the service cannot answer now, perhaps because the Hub is down, that says nothing about the launch.
        may_pass = fault.may_pass or isinstance(fault, ServiceUnavailable)
        if not may_pass or not await patience.pause(pause_s):
            raise fault


def _cursor(url: str, response: httpx.Response, *, asked: int) -> int:
    """Return the number of the event before the stream's first; 0 if the service does not have the event `asked`."""
    if not response.headers.get("Content-Type", "").startswith("text/event-stream"):
        raise UnexpectedAnswer(url, response.status_code, "not a stream of events")
    cursor = response.headers.get("X-Launch-Cursor", "")
    return int(cursor) if cursor.isdecimal() and len(cursor) < _DIGITS_MAX else asked


def _updates(url: str, stream: EventStream, chunk: bytes) -> Iterator[LaunchEvent | Position]:
    """Yield the events and positions that the chunk completes; heartbeats and unknown events are skipped."""
    try:
        for arrived in stream.feed(chunk):
            if arrived.name == "message":
                yield LaunchEvent.of(json.loads(arrived.content))
            elif arrived.name == "position":
                yield Position.of(json.loads(arrived.content))
    except (EventTooLarge, ValueError):
        raise UnexpectedAnswer(url, 200, "an unreadable event") from None
