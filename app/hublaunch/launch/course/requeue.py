"""Waiting after a 429: the Hub is at its limit, and the launch goes back into the queue."""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from hublaunch.launch.course.admission import Admission
from hublaunch.launch.course.progress import EVENTS_MAX, Record
from hublaunch.launch.errors import HubBusy, LaunchError
from hublaunch.launch.model import Launch, Status, Step
from hublaunch.launch.pace import Pace
from hublaunch.launch.ports import LeaseLost, StoreFault

T = TypeVar("T")

REQUEUES_MAX = EVENTS_MAX // 4
"""About this many requeues fit into the time that a launch may wait. Each requeue stores two events."""


def pause_after(busy: HubBusy, turn: int, *, default_s: float, longest_s: float) -> float:
    """Return the seconds to leave the Hub alone after a 429; `turn` counts the 429s in a row, from 1.

    That is the Hub's `Retry-After`, or `default_s` without one, but at least a pause that doubles with each turn, from
    1 s to `longest_s`.
    """
    asked_s = default_s if busy.retry_after_s is None else busy.retry_after_s
    return max(asked_s, min(2.0 ** min(turn - 1, 30), longest_s))


async def wait_without_queue(busy: HubBusy, turn: int, *, record: Record, pace: Pace) -> None:
    """Wait for as long as the Hub asks: for library use, where there is no queue to go back to."""
    pause_s = pause_after(busy, turn, default_s=pace.hub_busy_s, longest_s=pace.hub_busy_s)
    await record(_busy_step(pause_s))
    await asyncio.sleep(pause_s)


class Requeue:
    """Puts one attempt's launch back into the queue, and waits for its next admission.

    Together the waits of an attempt may take `max_wait_s`. The pauses grow, so that the number of events is bounded.
    """

    def __init__(self, admission: Admission, *, max_wait_s: float, launch: Launch, pace: Pace) -> None:
        self._admission = admission
        self._max_wait_s = max_wait_s
        self._launch = launch
        self._busy_s = pace.hub_busy_s
        self._waits_until: datetime | None = None

    async def wait(self, busy: HubBusy, turn: int, limit: asyncio.Timeout) -> None:
        """Return once the launch is admitted again. Until then `limit`, its launch timeout, is suspended.

        A member of a warm pool never waits, as the queue is for people. Raises the HubBusy for it, QueueTimedOut or
        ImageFailing if the launch is not admitted, StoreFault if the store does not answer.
        """
        if self._launch.is_member:
            raise busy
        loop, ends_at = asyncio.get_running_loop(), limit.when()
        assert ends_at is not None, "an attempt has a limit"
        limit.reschedule(None)
        self._waits_until = self._waits_until or datetime.now(UTC) + timedelta(seconds=self._max_wait_s)
        longest_s = max(self._busy_s, self._max_wait_s / REQUEUES_MAX)
        pause_s = pause_after(busy, turn, default_s=self._busy_s, longest_s=longest_s)
        await from_store(
            self._admission.requeue(
                self._launch,
                _busy_step(pause_s),
                time_left_s=max(0.0, ends_at - loop.time()),
                waits_until=self._waits_until,
                pause_s=pause_s,
            )
        )
        waiting = replace(self._launch, admitted_at=None, deadline_at=self._waits_until)
        self._launch = await self._admission.wait(waiting)
        limit.reschedule(loop.time() + self._launch.remaining_s)


def _busy_step(pause_s: float) -> Step:
    message = f"JupyterHub is at its limit; asking again in {pause_s:.0f} s"
    return Step(phase=Status.WAITING, progress=None, message=message)


async def from_store(answer: Awaitable[T]) -> T:
    """Return the store's answer. Raises StoreFault if it gives none."""
    try:
        return await answer
    except (LeaseLost, LaunchError, ValueError):
        raise
    except Exception as error:
        raise StoreFault("the database did not answer") from error
