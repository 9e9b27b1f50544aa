"""The turns of an attempt: back into the queue whenever the Hub is at its limit, and out again."""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from hublaunch.launch.course.admission import Admission
from hublaunch.launch.course.busy import busy_step, pause_s
from hublaunch.launch.course.progress import EVENTS_MAX
from hublaunch.launch.errors import HubBusy, LaunchError
from hublaunch.launch.model import Launch
from hublaunch.launch.pace import Pace
from hublaunch.launch.ports import LaunchStore, LeaseLost, StoreFault

T = TypeVar("T")

TURNS_MAX = EVENTS_MAX // 4
"""About so many turns fit into the time that a launch may wait. Each of them stores two events."""


class Requeue:
    """Puts one attempt's launch back into the queue and waits there for its next admission.

    All turns together may wait for `max_wait_s`. Their pauses grow, so that the events of the turns are bounded.
    """

    def __init__(
        self, store: LaunchStore, admission: Admission, *, max_wait_s: float, launch: Launch, pace: Pace
    ) -> None:
        self._store = store
        self._admission = admission
        self._max_wait_s = max_wait_s
        self._launch = launch
        self._busy_s = pace.hub_busy_s
        self._waits_until: datetime | None = None

    async def wait(self, busy: HubBusy, turn: int, limit: asyncio.Timeout) -> None:
        """Return once the launch is admitted again; until then the limit, its `launch_timeout`, does not run.

        QueueTimedOut or ImageFailing if it is not admitted, StoreFault if the records do not answer.
        """
        loop, ends_at = asyncio.get_running_loop(), limit.when()
        assert ends_at is not None, "an attempt has a limit"
        limit.reschedule(None)
        self._waits_until = self._waits_until or datetime.now(UTC) + timedelta(seconds=self._max_wait_s)
        most_s = max(self._busy_s, self._max_wait_s / TURNS_MAX)
        seconds = pause_s(busy, turn, default_s=self._busy_s, most_s=most_s)
        with self._admission.expecting(self._launch.id, before=self._launch.admitted_at):
            await from_records(
                self._store.put_back(
                    self._launch,
                    busy_step(seconds),
                    time_left_s=max(0.0, ends_at - loop.time()),
                    waits_until=self._waits_until,
                    pause_s=seconds,
                )
            )
        waiting = replace(self._launch, admitted_at=None, deadline_at=self._waits_until)
        self._launch = await self._admission.wait(waiting)
        limit.reschedule(loop.time() + self._launch.remaining_s)


async def from_records(asked: Awaitable[T]) -> T:
    """What the records say; StoreFault if they do not answer."""
    try:
        return await asked
    except (LeaseLost, LaunchError, ValueError):
        raise
    except Exception as error:
        raise StoreFault("the records did not answer") from error
