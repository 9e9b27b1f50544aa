"""The spawn: start one server, follow its progress, and return once the server itself answers."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from datetime import datetime
from typing import Any

from hublaunch.launch.course.cleanup import Traces
from hublaunch.launch.course.inspection import find_server
from hublaunch.launch.course.progress import SpawnLog
from hublaunch.launch.course.together import together
from hublaunch.launch.errors import (
    HubBusy,
    HubUnavailable,
    NotStarting,
    ServerExists,
    ServerNotFound,
    SpawnCancelled,
    SpawnLost,
)
from hublaunch.launch.model import Attempt
from hublaunch.launch.pace import Backoff, Pace
from hublaunch.launch.ports import Hub, Reach, Reached, Server

_PEEK = Backoff(0.05, 0.2)
"""The pauses before reading the progress of a spawn whose POST the Hub has not answered. With a `slow_spawn_timeout` of
0 the Hub has answered by then; a stock Hub takes up to 10 s."""
_PEEK_MAX_S = 1.0

WaitInQueue = Callable[[HubBusy, int], Awaitable[None]]
"""Takes a 429 and its number, from 1. Returns when the Hub may be asked for the server again."""


class Spawn:
    """The spawn of one attempt.

    There is no time limit here. When a caller's timeout or cancellation ends a call, anything started at the Hub stays
    there.
    """

    def __init__(self, attempt: Attempt, *, hub: Hub, traces: Traces, log: SpawnLog, pace: Pace) -> None:
        self._attempt = attempt
        self._hub = hub
        self._traces = traces
        self._log = log
        self._pace = pace
        self.ready_event: Mapping[str, Any] | None = None
        """The Hub's `ready` event, as the Hub sent it; None if its progress streams ended without one."""

    async def run(self, user_options: Mapping[str, Any], *, wait_in_queue: WaitInQueue, hub_answers_in_s: float) -> str:
        """Start the server, record its progress, and return its `url` once the server has answered.

        After each 429 of the Hub `wait_in_queue` is called, and then the server is requested again.
        `hub_answers_in_s`: how long the Hub has just taken for a call that it answers as soon as it can.
        """
        # Before the Hub handles the POST there is no progress, and a call would only add to the load of a slow Hub.
        peek = _PEEK.at_least(min(2 * hub_answers_in_s, _PEEK_MAX_S))
        turn = 1
        while True:
            try:
                url = await self._start_and_follow(user_options, peek)
            except HubBusy as busy:
                await wait_in_queue(busy, turn)
                await self._log.say_requeued()
                turn += 1
            else:
                await self._log.say_other_image()
                await self._wait_for_answer(url)
                return url

    async def follow(self) -> str:
        """Follow a spawn that another process requested; otherwise as `run`."""
        requested: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        requested.set_result(None)
        url = await self._follow(requested, _PEEK)
        await self._log.say_other_image()
        await self._wait_for_answer(url)
        return url

    async def started_at(self) -> datetime | None:
        """Return when the ready server was started, by the Hub's clock. Raises SpawnCancelled if it is gone already."""
        return (await self._server()).started_at

    async def _start_and_follow(self, user_options: Mapping[str, Any], peek: Backoff) -> str:
        """Request the server and follow its progress side by side: a stock Hub answers only when the spawn is over."""
        _, url = await together(self._start(user_options), lambda starting: self._follow(starting, peek))
        return url

    async def _start(self, user_options: Mapping[str, Any]) -> None:
        attempt = self._attempt
        self._log.begin_request()
        try:
            with self._traces.leaving("server"):
                await self._hub.start_server(attempt.username, attempt.server_name, user_options)
        except ServerExists:
            if not attempt.creates_user:
                raise
            # Nobody else knows this user: a proxy has sent the request twice, and the first answer was lost.

    async def _follow(self, starting: asyncio.Future[None], peek: Backoff) -> str:
        peeks, reopens = peek.pauses(), self._pace.reopen_s.pauses()
        # For a user who existed before, the Hub may still report an earlier spawn, so wait for the answer to the POST.
        await asyncio.wait({starting}, timeout=next(peeks) if self._attempt.creates_user else None)
        while True:
            has_started, has_no_spawn = starting.done(), False
            try:
                if url := await self._read_stream():
                    return url
            except NotStarting:
                if not has_started:
                    await asyncio.wait({starting}, timeout=next(peeks))
                    continue
                has_no_spawn = True
            except HubUnavailable:
                pass  # The stream broke. That says nothing about the spawn; the inspection below does.
            await asyncio.wait({starting})
            server = await find_server(self._hub, self._attempt, pace=self._pace)
            if server is None and has_no_spawn:
                raise SpawnLost
            if server is not None and server.ready:
                return server.url
            await asyncio.sleep(next(reopens))

    async def _read_stream(self) -> str | None:
        """Record one progress stream. Return the server's `url` at `ready`, or None if the stream ends without it."""
        self._log.begin_stream()
        async with aclosing(self._hub.progress(self._attempt.username, self._attempt.server_name)) as events:
            async for event in events:
                if event.failed:
                    await self._log.say_other_image()
                    raise self._log.failure(event)
                if event.ready:
                    self.ready_event = event.hub_event
                    return event.url or (await self._server()).url
                await self._log.add(event)
        return None

    async def _wait_for_answer(self, url: str) -> None:
        """Return once the server itself answers. The Hub's `ready` is not enough: a cancelled spawn announces it too.

        If no answer shows whether it is the server, believe a Hub that says `ready` twice. Raises ServerNotFound if
        another web server answers in its place, since a visitor would not find the server either.
        """
        loop = asyncio.get_running_loop()
        begun_at, is_recheck, has_reported = loop.time(), False, False
        for pause_s in self._pace.ask_again_s.pauses():
            reached = await self._hub.reach_server(self._attempt.username, self._attempt.server_name, url)
            if reached.reach is Reach.ANSWERS:
                return
            server = await self._server()
            await self._log.say_opening()
            waited_s = loop.time() - begun_at
            if reached.reach is Reach.FOREIGN and waited_s > self._pace.foreign_s:
                raise ServerNotFound(reached.status)
            if reached.reach is Reach.UNKNOWN and server.ready:
                if is_recheck:
                    return
                is_recheck = True
            elif waited_s > self._pace.silent_s and not has_reported:
                has_reported = True
                await self._log.say(_silence(reached))
            await asyncio.sleep(self._pace.recheck_ready_s if is_recheck else pause_s)

    async def _server(self) -> Server:
        """Return the server as the Hub has it. Raises SpawnCancelled if it is gone or being stopped."""
        server = await find_server(self._hub, self._attempt, pace=self._pace)
        if server is None or server.pending == "stop":
            raise SpawnCancelled
        return server


def _silence(reached: Reached) -> str:
    answer = "nothing answers" if reached.status is None else f"something else answers {reached.status}"
    return f"JupyterHub says that the server is ready, but {answer} at the server's address. Asking again"
