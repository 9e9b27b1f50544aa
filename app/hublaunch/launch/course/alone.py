"""A launch without a service: one attempt, no queue, no store, and nothing left behind unless it succeeds."""

import asyncio
import logging

from hublaunch.launch.course import attempt as attempts
from hublaunch.launch.course.attempt import Entry
from hublaunch.launch.course.cleanup import Traces, clean_up
from hublaunch.launch.course.progress import Record
from hublaunch.launch.errors import SpawnTimedOut
from hublaunch.launch.model import Attempt, LaunchRequest
from hublaunch.launch.pace import Pace
from hublaunch.launch.ports import Hub

log = logging.getLogger(__name__)

CLEAN_UP_TIMEOUT_S = 60.0


async def launch_alone(
    attempt: Attempt,
    request: LaunchRequest,
    *,
    hub: Hub,
    entry: Entry,
    record: Record,
    launch_timeout_s: float,
    pace: Pace,
) -> None:
    """Get a ready server from the Hub, and pass each step to `record`. The last step is `ready`.

    Raises a LaunchError, or the error that `record` raises. If the launch ends before it is ready, even by
    cancellation, everything that it created is deleted before this returns, within 60 s. Nothing else is touched.
    """
    traces = Traces()
    try:
        async with asyncio.timeout(launch_timeout_s) as limit:
            await attempts.run(attempt, request, hub=hub, entry=entry, record=record, traces=traces, pace=pace)
    except BaseException as error:
        await _clean_up(attempt, request, hub=hub, traces=traces, pace=pace)
        if isinstance(error, TimeoutError) and limit.expired():
            raise SpawnTimedOut(launch_timeout_s) from error
        raise


async def _clean_up(attempt: Attempt, request: LaunchRequest, *, hub: Hub, traces: Traces, pace: Pace) -> None:
    try:
        async with asyncio.timeout(CLEAN_UP_TIMEOUT_S):
            await clean_up(attempt, request, hub, traces=traces, pace=pace)
    except Exception:
        log.exception(
            "The user or server of the launch of %s/%s was not deleted", attempt.username, attempt.server_name
        )
