"""Following a launch: its log from any event on, then live."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from hublaunch.launch.course.admission import Position
from hublaunch.launch.model import Event, Status
from hublaunch.launch.ports import LaunchStore


class _Tail:
    """What this process knows of one launch's log; all its followers share it."""

    def __init__(self, *, idle_s: float, forget: Callable[[], object]) -> None:
        """`forget` is called when nothing was heard of a launch for `idle_s` that nobody follows."""
        self.events: list[Event] = []
        self.followers = 0
        self.reading: asyncio.Task[None] | None = None
        self.position: Position | None = None
        """Where the launch stands in the queue, while it does."""
        self.is_gone = False
        """Whether the log was removed from the store."""
        self._stored = 1
        self._latest: tuple[int, Sequence[Event]] = 0, ()
        """Above which event `since` was asked last, and its answer."""
        self._idle_s = idle_s
        self._forget = forget
        self._waiting: list[asyncio.Future[bool]] = []
        self._idle = asyncio.get_running_loop().call_later(idle_s, self._fall_idle)

    @property
    def is_behind(self) -> bool:
        """Whether the log is known to hold more than is here."""
        return len(self.events) < self._stored

    @property
    def has_ended(self) -> bool:
        return bool(self.events) and self.events[-1].phase.ends_stream

    @property
    def is_in_queue(self) -> bool:
        """Whether the launch waits, as far as its log is here."""
        return bool(self.events) and self.events[-1].phase is Status.WAITING

    def was_admitted(self, after: int) -> bool:
        """Whether an event above `after` says so."""
        return any(event.phase in (Status.LAUNCHING, Status.READY) for event in self.events[after:])

    def since(self, after: int) -> Sequence[Event]:
        """The events above `after`: one object for all who ask the same, by which they can tell that it is."""
        begin, events = self._latest
        if begin != after or begin + len(events) != len(self.events):
            events = self.events[after:]
            self._latest = after, events
        return events

    def note(self, seq: int) -> None:
        """The log holds so much; what is not here is read by whoever follows."""
        if seq > self._stored:
            self._stored = seq
            self.wake()

    def stand(self, position: Position | None) -> None:
        """Set the launch's place in the queue, None once it has left. A place that arrives after that is dropped."""
        position = position if self.is_in_queue else None
        if position != self.position:
            self.position = position
            self.wake()

    def extend(self, events: Sequence[Event]) -> None:
        """Take those events that come next; if there is a gap before them, the tail is behind."""
        for event in events:
            self._stored = max(self._stored, event.seq)
            if event.seq == len(self.events) + 1:
                self.events.append(event)
        if not self.is_in_queue:
            self.position = None
        self.wake()

    async def read(self, log_after: Callable[[int], Awaitable[Sequence[Event]]]) -> None:
        """Bring the tail up to the log. What was known to be stored before is in it, or the log is gone."""
        known, stored = len(self.events), self._stored
        self.extend(await log_after(known))
        self.is_gone = len(self.events) < stored

    async def wait(self) -> bool:
        """True once there is more, here or in the log; False when that has not been so for the idle time."""
        waiting: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        return await waiting

    def wake(self) -> None:
        """Let every follower look again."""
        self._settle(True)

    def close(self) -> None:
        """Nobody follows any more; a read for those who did would wake what has no place in the feed."""
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
    """The launches' logs as streams. The log in the store is the truth, `publish` the news that it has grown.

    Each followed launch has one copy of its log in this process, read once however many follow; one that was accepted
    here has it from its first event on, as who asked for it is about to follow. Whoever follows a launch of which
    nothing is heard for `idle_s` is told so.
    """

    def __init__(self, store: LaunchStore, *, idle_s: float) -> None:
        self._store = store
        self._idle_s = idle_s
        self._tails: dict[str, _Tail] = {}
        self._ended = asyncio.Event()
        store.subscribe(self.publish)
        store.on_growth(self.note)

    @property
    def followers(self) -> int:
        """How many follow launches in this process."""
        return sum(tail.followers for tail in self._tails.values())

    def publish(self, event: Event) -> None:
        """Tell this process's followers of an event that is stored."""
        tail = self._tail(event.launch_id) if event.seq == 1 else self._tails.get(event.launch_id)
        if tail is not None:
            tail.extend((event,))

    def note(self, launch_id: str, seq: int) -> None:
        """Tell them that another process has stored events up to `seq`."""
        if tail := self._tails.get(launch_id):
            tail.note(seq)

    @property
    def see_a_queue(self) -> bool:
        """Whether anybody here follows a launch that waits in the queue."""
        return any(tail.is_in_queue and tail.followers for tail in self._tails.values())

    def tell_positions(self, positions: Mapping[str, Position]) -> None:
        """Tell followers of launches in the queue where those stand."""
        for launch_id, tail in self._tails.items():
            tail.stand(positions.get(launch_id))

    async def keep_up(self, *, every_s: float) -> None:
        """Go on until cancelled: see what other processes have stored, should the news of it have been lost."""
        while True:
            await asyncio.sleep(every_s)
            followed = [launch_id for launch_id, tail in self._tails.items() if tail.followers and not tail.has_ended]
            if followed:
                for launch_id, seq in (await self._store.ends(followed)).items():
                    self.note(launch_id, seq)

    def end(self) -> None:
        """End every stream, as this process stops; their followers go on elsewhere from where they are."""
        self._ended.set()
        for tail in self._tails.values():
            tail.wake()

    async def linger(self, seconds: float) -> None:
        """Return after so long, or when every stream is to end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended.wait()

    async def follow(self, launch_id: str, *, after: int = 0) -> AsyncGenerator[Sequence[Event] | Position]:
        """The events of a launch above `after`, in order and without gaps, as many at a time as there are.

        Followers who have come as far as each other are given the same object. Between the events comes the launch's
        position in the queue, whenever it has changed. A follower that got a position gets position 0 before the
        events of an admitted launch. An empty sequence means that nothing came for the idle time. Ends after the event
        that ends the launch's stream, with the feed, or with a log that no longer exists. Between two items it holds
        nothing but memory; close it (`aclosing`) to stop following.
        """
        tail = self._tail(launch_id)
        tail.followers += 1
        told: Position | None = None
        try:
            while True:
                if tail.is_behind and not tail.is_gone:
                    await self._read(launch_id, tail)
                elif told is not None and told.position and tail.was_admitted(after):
                    told = replace(told, position=0, eta_s=0, eta_basis=None)
                    yield told
                elif len(tail.events) > after:
                    events = tail.since(after)
                    after += len(events)
                    yield events
                elif tail.has_ended or tail.is_gone or self._ended.is_set():
                    return
                elif tail.position is not None and tail.position != told:
                    told = tail.position
                    yield told
                elif not await tail.wait():
                    yield ()
        finally:
            tail.followers -= 1
            if not tail.followers:
                tail.close()
                del self._tails[launch_id]

    def _tail(self, launch_id: str) -> _Tail:
        """What is known of this launch, if only from now on."""
        tail = self._tails.get(launch_id)
        if tail is None:
            tail = self._tails[launch_id] = _Tail(idle_s=self._idle_s, forget=partial(self._tails.pop, launch_id))
        return tail

    async def _read(self, launch_id: str, tail: _Tail) -> None:
        """Bring the tail up to the log. Followers who ask at once share one read, and its error."""
        if tail.reading is None or tail.reading.done():
            log_after = partial(self._log_after, launch_id)
            tail.reading = asyncio.create_task(tail.read(log_after))
        await asyncio.shield(tail.reading)

    async def _log_after(self, launch_id: str, seq: int) -> Sequence[Event]:
        return await self._store.events(launch_id, after=seq)
