"""The feed: every launch's log as a stream, from any event on and then live."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from hublaunch.launch.course.admission import Position
from hublaunch.launch.model import Event, Status
from hublaunch.launch.news import LogGrew, News
from hublaunch.launch.ports import LaunchLog


class _Tail:
    """The part of one launch's log that this process knows, shared by all its followers."""

    def __init__(self, *, idle_s: float, forget: Callable[[], object]) -> None:
        """`forget` is called if nobody follows the launch and nothing happens for `idle_s`."""
        self.events: list[Event] = []
        self.followers = 0
        self.reading: asyncio.Task[None] | None = None
        self.position: Position | None = None
        """The launch's position while it is in the queue."""
        self.is_gone = False
        """Whether the store has removed the log."""
        self._stored = 1
        self._latest: tuple[int, Sequence[Event]] = 0, ()
        """The last argument of `since`, and its result."""
        self._idle_s = idle_s
        self._forget = forget
        self._waiting: list[asyncio.Future[bool]] = []
        self._idle = asyncio.get_running_loop().call_later(idle_s, self._fall_idle)

    @property
    def is_behind(self) -> bool:
        """Whether the log is known to have more events than this tail."""
        return len(self.events) < self._stored

    @property
    def has_ended(self) -> bool:
        return bool(self.events) and self.events[-1].phase.ends_stream

    @property
    def is_in_queue(self) -> bool:
        """Whether the launch is in the queue, according to the events known here."""
        return bool(self.events) and self.events[-1].phase is Status.WAITING

    def was_admitted(self, after: int) -> bool:
        """Return whether an event above `after` says that the launch was admitted."""
        return any(event.phase in (Status.LAUNCHING, Status.READY) for event in self.events[after:])

    def since(self, after: int) -> Sequence[Event]:
        """Return the events above `after`. Followers with the same `after` get the same object."""
        begin, events = self._latest
        if begin != after or begin + len(events) != len(self.events):
            events = self.events[after:]
            self._latest = after, events
        return events

    def note(self, seq: int) -> None:
        """Note that the log holds events up to `seq`. Followers read those that are missing here."""
        if seq > self._stored:
            self._stored = seq
            self.wake()

    def set_position(self, position: Position | None) -> None:
        """Set the launch's position in the queue, or None. A position that arrives after admission is dropped."""
        position = position if self.is_in_queue else None
        if position != self.position:
            self.position = position
            self.wake()

    def extend(self, events: Sequence[Event]) -> None:
        """Append the events that come next. If there is a gap before them, the tail is behind."""
        for event in events:
            self._stored = max(self._stored, event.seq)
            if event.seq == len(self.events) + 1:
                self.events.append(event)
        if not self.is_in_queue:
            self.position = None
        self.wake()

    async def read(self, log_after: Callable[[int], Awaitable[Sequence[Event]]]) -> None:
        """Read the rest of the log. If events that are known to be stored are still missing, the log is gone."""
        known, stored = len(self.events), self._stored
        self.extend(await log_after(known))
        self.is_gone = len(self.events) < stored

    async def wait(self) -> bool:
        """Return True once there is more, here or in the log, or False after the idle time."""
        waiting: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        return await waiting

    def wake(self) -> None:
        """Let every follower check again."""
        self._settle(True)

    def close(self) -> None:
        """Stop the timer and the read of a tail that nobody follows anymore."""
        self._idle.cancel()
        if self.reading is not None:
            self.reading.cancel()

    def _fall_idle(self) -> None:
        if self.followers:
            self._settle(False)
        else:
            self._forget()

    def _settle(self, has_more: bool) -> None:
        self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(self._idle_s, self._fall_idle)
        settled, self._waiting = self._waiting, []
        for waiting in settled:
            if not waiting.done():
                waiting.set_result(has_more)


class Feed:
    """Streams the logs of launches. The log in the store is the truth; `publish` and `note` only say that it has grown.

    Each followed launch has one copy of its log in this process, read once however many followers it has. A launch that
    was accepted here has its copy from the first event on, as its caller is about to follow it.
    """

    def __init__(self, launch_log: LaunchLog, *, idle_s: float) -> None:
        """`idle_s`: the seconds without news after which a follower gets an empty sequence."""
        self._log = launch_log
        self._idle_s = idle_s
        self._tails: dict[str, _Tail] = {}
        self._ended = asyncio.Event()

    @property
    def followers(self) -> int:
        """The number of followers in this process."""
        return sum(tail.followers for tail in self._tails.values())

    def on_news(self, news: News) -> None:
        """Receive the store's news."""
        match news:
            case Event():
                self.publish(news)
            case LogGrew(launch_id=launch_id, seq=seq):
                self.note(launch_id, seq)

    def publish(self, event: Event) -> None:
        """Pass a stored event on to its followers in this process."""
        tail = self._tail(event.launch_id) if event.seq == 1 else self._tails.get(event.launch_id)
        if tail is not None:
            tail.extend((event,))

    def note(self, launch_id: str, seq: int) -> None:
        """Note that another process has stored events up to `seq`."""
        if tail := self._tails.get(launch_id):
            tail.note(seq)

    @property
    def any_in_queue(self) -> bool:
        """Whether anybody here follows a launch in the queue."""
        return any(tail.is_in_queue and tail.followers for tail in self._tails.values())

    def publish_positions(self, positions: Mapping[str, Position]) -> None:
        """Pass positions in the queue on to the followers of those launches."""
        for launch_id, tail in self._tails.items():
            tail.set_position(positions.get(launch_id))

    async def poll(self, *, every_s: float) -> None:
        """Check every `every_s` for events of other processes whose notification was lost, until cancelled."""
        while True:
            await asyncio.sleep(every_s)
            followed = [launch_id for launch_id, tail in self._tails.items() if tail.followers and not tail.has_ended]
            if followed:
                for launch_id, seq in (await self._log.ends(followed)).items():
                    self.note(launch_id, seq)

    def end(self) -> None:
        """End every stream, because this process is stopping. Followers can resume at another process."""
        self._ended.set()
        for tail in self._tails.values():
            tail.wake()

    async def linger(self, seconds: float) -> None:
        """Return after this many seconds, or earlier when the feed ends."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended.wait()

    async def follow(self, launch_id: str, *, after: int = 0) -> AsyncGenerator[Sequence[Event] | Position]:
        """Yield the events of a launch above `after`, in order and without gaps, all available ones at a time.

        Followers that have reached the same event get the same object. Between the events comes the launch's position
        in the queue whenever it changes. A follower that got a position gets position 0 before the events of the
        admitted launch. After each `idle_s` without news comes an empty sequence. The stream ends after the launch's
        last event, with the feed, or when the log is removed. Between two items it uses only memory. Close it
        (`aclosing`) to stop following.
        """
        tail = self._tail(launch_id)
        tail.followers += 1
        position: Position | None = None
        try:
            while True:
                if tail.is_behind and not tail.is_gone:
                    await self._read(launch_id, tail)
                elif position is not None and position.position and tail.was_admitted(after):
                    position = replace(position, position=0, eta_s=0, eta_basis=None)
                    yield position
                elif len(tail.events) > after:
                    events = tail.since(after)
                    after += len(events)
                    yield events
                elif tail.has_ended or tail.is_gone or self._ended.is_set():
                    return
                elif tail.position is not None and tail.position != position:
                    position = tail.position
                    yield position
                elif not await tail.wait():
                    yield ()
        finally:
            tail.followers -= 1
            if not tail.followers:
                tail.close()
                del self._tails[launch_id]

    def _tail(self, launch_id: str) -> _Tail:
        """Return the tail of this launch, creating it if needed."""
        tail = self._tails.get(launch_id)
        if tail is None:
            tail = self._tails[launch_id] = _Tail(idle_s=self._idle_s, forget=partial(self._tails.pop, launch_id))
        return tail

    async def _read(self, launch_id: str, tail: _Tail) -> None:
        """Read the rest of the log into the tail. Simultaneous calls share one read, and its error."""
        if tail.reading is None or tail.reading.done():
            log_after = partial(self._log_after, launch_id)
            tail.reading = asyncio.create_task(tail.read(log_after))
        await asyncio.shield(tail.reading)

    async def _log_after(self, launch_id: str, seq: int) -> Sequence[Event]:
        return await self._log.events(launch_id, after=seq)
