"""Starting one server and following its spawn until the server itself answers."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

from hublaunch.launch.course.busy import busy_step, pause_s
from hublaunch.launch.course.cleanup import Traces
from hublaunch.launch.course.inspection import standing_server
from hublaunch.launch.course.progress import ProgressFilter
from hublaunch.launch.errors import (
    HubBusy,
    HubUnavailable,
    NotStarting,
    ServerExists,
    ServerNotFound,
    SpawnCancelled,
    SpawnLost,
)
from hublaunch.launch.model import Attempt, Event, Status, Step
from hublaunch.launch.pace import Backoff, Pace
from hublaunch.launch.ports import Hub, Reach, Reached, Server
from hublaunch.launch.rules.causes import cause_of
from hublaunch.launch.rules.messages import clean
from hublaunch.launch.rules.named_images import other_image

log = logging.getLogger(__name__)

_PEEK = Backoff(0.05, 0.2)
"""A Hub with `slow_spawn_timeout` 0 has answered the POST by then; a stock Hub holds it for up to 10 s."""
_SLOW_PEEK_S = 1.0

_REMEDY = (
    "The Hub's spawner must take `image` from user_options; KubeSpawner's default profile overwrites it, unless "
    "profile_list is a function that returns no profile for such a start."
)

WaitInQueue = Callable[[HubBusy, int], Awaitable[None]]
"""Returns when the Hub may be asked for the server again, after it has answered 429 so many times."""


class Spawn:
    """The spawn of one attempt."""

    def __init__(
        self,
        attempt: Attempt,
        *,
        hub: Hub,
        record: Callable[[Step], Awaitable[object]],
        traces: Traces,
        image: str = "",
        told: Sequence[Event] = (),
        wait_in_queue: WaitInQueue | None = None,
        answers_in_s: float = 0.0,
        pace: Pace = Pace(),
    ) -> None:
        """`image`: the one that the launch asks for, `""` if that is not known.

        `answers_in_s`: how long the Hub has just taken for a call that it answers as soon as it can.
        """
        self._image = image
        self._username = attempt.username
        self._server_name = attempt.server_name
        self._fresh = attempt.creates_user
        self._hub = hub
        self._record = record
        self._traces = traces
        self._wait_in_queue = wait_in_queue or self._stay_away
        self._pace = pace
        self._filter = ProgressFilter(told)
        self._told = [event.message for event in told]
        self._began_at = _began_at(told)
        # A peek before the Hub has come to the POST tells nothing, and is one more call for a Hub that is behind.
        self._peek = _PEEK.at_least(min(2 * answers_in_s, _SLOW_PEEK_S))

    async def run(self, user_options: Mapping[str, Any]) -> str:
        """Start the server, record what the Hub tells of it, and return its `url` once the server has answered.

        At the Hub's 429 the attempt goes back in the queue, and starts again when its turn has come. There is no
        limit of time here: the caller's ends it, and whatever was begun at the Hub stays there.
        """
        turn = 1
        while True:
            try:
                url = await self._start_and_follow(user_options)
            except HubBusy as busy:
                await self._wait_in_queue(busy, turn)
                message = "Asking JupyterHub for a server once more"
                await self._record(Step(phase=Status.LAUNCHING, progress=None, message=message))
                self._filter.count(2)
                turn += 1
            else:
                await self._tell_other_image()
                await self._confirm(url)
                return url

    async def follow(self) -> str:
        """As `run`, for a spawn that another process asked for: it is followed and never started here."""
        asked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asked.set_result(None)
        url = await self._follow(asked)
        await self._tell_other_image()
        await self._confirm(url)
        return url

    async def started_at(self) -> datetime | None:
        """When the server that is ready was started, by the Hub's clock; SpawnCancelled if it is gone already."""
        return (await self._standing_server()).started_at

    async def _start_and_follow(self, user_options: Mapping[str, Any]) -> str:
        """POST and progress side by side, as a stock Hub answers the POST only when the spawn is over."""
        try:
            async with asyncio.TaskGroup() as group:
                return await self._follow(group.create_task(self._start(user_options)))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from errors

    async def _start(self, user_options: Mapping[str, Any]) -> None:
        self._began_at = datetime.now(UTC)
        try:
            with self._traces.leaving("server"):
                await self._hub.start_server(self._username, self._server_name, user_options)
        except ServerExists:
            if not self._fresh:
                raise
            # Nobody else knows this user: a proxy on the way has sent the request twice, and its first answer is lost.

    async def _follow(self, starting: asyncio.Future[None]) -> str:
        # A name that was used before may still tell of its last spawn, so there the POST must have answered first.
        peek, reopen = self._peek.pauses(), self._pace.reopen_s.pauses()
        await asyncio.wait({starting}, timeout=next(peek) if self._fresh else None)
        while True:
            agreed, nothing_to_tell = starting.done(), False
            try:
                if url := await self._read_stream():
                    return url
            except NotStarting:
                if not agreed:
                    await asyncio.wait({starting}, timeout=next(peek))
                    continue
                nothing_to_tell = True
            except HubUnavailable:
                pass  # The stream broke. That says nothing about the spawn; the look at the Hub below does.
            await asyncio.wait({starting})
            server = await self._look()
            if server is None and nothing_to_tell:
                raise SpawnLost
            if server is not None and server.ready:
                return server.url
            await asyncio.sleep(next(reopen))

    async def _read_stream(self) -> str | None:
        """Record one progress stream. The server's `url` at `ready`; None if the stream ends without saying."""
        self._filter.begin_stream()
        async with aclosing(self._hub.progress(self._username, self._server_name)) as events:
            async for event in events:
                if event.failed:
                    await self._tell_other_image()
                    raise cause_of(event.message, self._told, after_s=self._spawning_for_s)
                if event.ready:
                    return event.url or (await self._standing_server()).url
                if step := self._filter.step(event):
                    self._told.append(step.message)
                    await self._record(step)
        return None

    async def _tell_other_image(self) -> None:
        """Say so if the spawner runs another image than the one that the launch asks for."""
        if not (other := other_image(self._image, self._told)):
            return
        message = clean(f"JupyterHub runs the image {other}, not the image that this launch asked for")
        if message not in self._told:
            log.warning("JupyterHub runs the image %s for a launch of %s. %s", other, self._image, _REMEDY)
            await self._record(Step(phase=Status.LAUNCHING, progress=None, message=message))

    @property
    def _spawning_for_s(self) -> float | None:
        return None if self._began_at is None else (datetime.now(UTC) - self._began_at).total_seconds()

    async def _confirm(self, url: str) -> None:
        """Return once the server itself answers: a spawn that was cancelled announces `ready` too.

        Where nothing shows the server, the Hub is believed if it says `ready` twice. Where another web server answers
        in its place, the launch fails, ServerNotFound: its visitor would not find the server either.
        """
        loop = asyncio.get_running_loop()
        begun_at, believed, told = loop.time(), False, False
        for pause in self._pace.ask_again_s.pauses():
            reached = await self._hub.reach_server(self._username, self._server_name, url)
            if reached.reach is Reach.ANSWERS:
                return
            server = await self._standing_server()
            waited_s = loop.time() - begun_at
            if reached.reach is Reach.FOREIGN and waited_s > self._pace.foreign_s:
                raise ServerNotFound(reached.status)
            if reached.reach is Reach.UNKNOWN and server.ready:
                if believed:
                    return
                believed = True
            elif waited_s > self._pace.silent_s and not told:
                told = True
                self._filter.count(1)
                await self._record(Step(phase=Status.LAUNCHING, progress=None, message=_silence(reached)))
            await asyncio.sleep(self._pace.second_look_s if believed else pause)

    async def _standing_server(self) -> Server:
        """The server as the Hub has it; SpawnCancelled if it is gone or being stopped."""
        server = await self._look()
        if server is None or server.pending == "stop":
            raise SpawnCancelled
        return server

    async def _look(self) -> Server | None:
        return await standing_server(self._hub, self._username, self._server_name, pace=self._pace)

    async def _stay_away(self, busy: HubBusy, turn: int) -> None:
        seconds = pause_s(busy, turn, default_s=self._pace.hub_busy_s, most_s=self._pace.hub_busy_s)
        await self._record(busy_step(seconds))
        await asyncio.sleep(seconds)


def _silence(reached: Reached) -> str:
    said = "nothing answers" if reached.status is None else f"something else answers {reached.status}"
    return f"JupyterHub says that the server is ready, but {said} at the server's address. Asking again"


def _began_at(told: Sequence[Event]) -> datetime | None:
    """When the attempt last asked the Hub for the server, by its log; None if it has not."""
    began_at: datetime | None = None
    for event in told:
        began_at = None if event.phase is Status.WAITING else began_at or event.at
    return began_at
