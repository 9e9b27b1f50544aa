"""Following a launch over as many streams as it takes."""

import json
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping

import httpx

from hublaunch.client.errors import LaunchClientError, ServiceUnavailable, UnexpectedAnswer, Unreachable
from hublaunch.client.event_stream import EventStream, EventTooLarge
from hublaunch.client.exchange import Exchange
from hublaunch.client.model import LaunchEvent, Position

_DIGITS_MAX = 10
"""No launch has as many events as a number of so many digits."""


async def follow(
    exchange: Exchange,
    path: str,
    *,
    after: int,
    headers: Mapping[str, str],
    on_position: Callable[[Position], object] | None,
) -> AsyncGenerator[LaunchEvent]:
    """Yield the events above the number `after`, up to the last, of the launch whose events are at `path`.

    `on_position` gets each place in the queue. A stream that breaks is resumed after the last event, once the pause
    that it asked for is over; a LaunchClientError if that does not succeed within the patience of the exchange.
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
                    for event in _events(exchange.url, stream, chunk):
                        if isinstance(event, Position):
                            if on_position is not None:
                                on_position(event)
                            continue
                        after = event.seq
                        yield event
                        if event.is_last:
                            return
            fault = Unreachable(exchange.url, "the stream of events ended too soon")
        except LaunchClientError as error:
            fault = error
        pause_s = stream.retry_s if fault.retry_after_s is None else fault.retry_after_s
        # What the service cannot do now, such as ask the Hub who the caller is, says nothing of the launch.
        may_pass = fault.may_pass or isinstance(fault, ServiceUnavailable)
        if not may_pass or not await patience.pause(pause_s):
            raise fault


def _cursor(url: str, response: httpx.Response, *, asked: int) -> int:
    """After which event the stream begins: 0 if the service has lost the one that was asked for."""
    if not response.headers.get("Content-Type", "").startswith("text/event-stream"):
        raise UnexpectedAnswer(url, response.status_code, "no stream of events")
    cursor = response.headers.get("X-Launch-Cursor", "")
    return int(cursor) if cursor.isdecimal() and len(cursor) < _DIGITS_MAX else asked


def _events(url: str, stream: EventStream, chunk: bytes) -> Iterator[LaunchEvent | Position]:
    """Those that the chunk completes. Heartbeats, and what a later release may add, are none."""
    try:
        for arrived in stream.feed(chunk):
            if arrived.name == "message":
                yield LaunchEvent.of(json.loads(arrived.content))
            elif arrived.name == "position":
                yield Position.of(json.loads(arrived.content))
    except (EventTooLarge, ValueError):
        raise UnexpectedAnswer(url, 200, "an event that cannot be read") from None
