"""Notes of the calls to the Hub that failed or were slow, for `hublaunch show`: the rest leaves no trace."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from hublaunch.launch.log_context import current_attempt
from hublaunch.launch.ports import NotedCalls

SLOW_S = 1.0
"""From here on, an answer is slow."""
HELD_S = 11.0
"""The same for requests that a stock Hub holds on purpose, for up to 10 s (`slow_spawn_timeout`, `slow_stop_timeout`)
or until the first event."""

_HELD = frozenset({"start_server", "stop_server", "progress"})
_ASKED_UNTIL_IT_ANSWERS = "reach_server"
"""The proxy answers for a server that it has no route to yet, so such an answer is no failure."""


class HubCallNotes:
    """Collects the calls until `run` or `store` has passed them to `add`.

    Repeated calls of one attempt are one note. Attempts begin and end in the same database to which `add` writes. So
    while it is down, no attempt begins, and the notes stay few.
    """

    def __init__(
        self,
        add: Callable[[Sequence[NotedCalls]], Awaitable[None]],
        *,
        every_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` returns seconds from any start."""
        self._add = add
        self._every_s = every_s
        self._clock = clock
        self._notes: dict[tuple[str, int, str, str], NotedCalls] = {}
        self._has_notes = asyncio.Event()

    def on_hub_request(self, kind: str, _: object) -> Callable[[str], None]:
        """Begin to time a request for the current attempt. Return a function to call with its outcome."""
        attempt = current_attempt.get()
        if attempt is None:
            return _ignore
        began_at = self._clock()

        def end(outcome: str) -> None:
            seconds = self._clock() - began_at
            if _is_notable(kind, outcome, seconds):
                at = datetime.now(UTC)
                noted = NotedCalls(
                    launch_id=attempt.launch_id,
                    attempt=attempt.number,
                    kind=kind,
                    outcome=outcome,
                    count=1,
                    first_at=at,
                    last_at=at,
                    slowest_s=seconds,
                )
                self._note(noted)

        return end

    async def run(self) -> None:
        """Store the notes, a little while after each first one, until cancelled."""
        while True:
            await self._has_notes.wait()
            await asyncio.sleep(self._every_s)
            await self.store()

    async def store(self) -> None:
        """Pass on all notes. Those that `add` refuses with an error are kept for the next time."""
        notes, self._notes = self._notes, {}
        self._has_notes.clear()
        if not notes:
            return
        try:
            await self._add(list(notes.values()))
        except Exception:
            for noted in notes.values():
                self._note(noted)
            raise

    def _note(self, noted: NotedCalls) -> None:
        key = noted.launch_id, noted.attempt, noted.kind, noted.outcome
        earlier = self._notes.get(key)
        self._notes[key] = noted if earlier is None else _sum(earlier, noted)
        self._has_notes.set()


def _ignore(_: str) -> None:
    """End a request that belongs to no attempt."""


def _is_notable(kind: str, outcome: str, seconds: float) -> bool:
    if seconds >= (HELD_S if kind in _HELD else SLOW_S):
        return True
    if kind == _ASKED_UNTIL_IT_ANSWERS:
        return outcome == "unreachable"
    return outcome not in ("answered", "given_up")


def _sum(one: NotedCalls, other: NotedCalls) -> NotedCalls:
    return replace(
        one,
        count=one.count + other.count,
        first_at=min(one.first_at, other.first_at),
        last_at=max(one.last_at, other.last_at),
        slowest_s=max(one.slowest_s, other.slowest_s),
    )
