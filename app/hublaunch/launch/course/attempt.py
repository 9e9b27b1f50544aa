"""One attempt of a launch at the Hub, from the user to the ready server. Start reading here.

`run` is the whole story. Its parts: `spawn.py` starts the server and follows it, `progress.py` records what the Hub
says, `cleanup.py` deletes what a failed attempt has created. `runner.py` decides whether another attempt follows.
"""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Literal

from hublaunch.launch.course.cleanup import Traces
from hublaunch.launch.course.content import content_fault
from hublaunch.launch.course.progress import Record, SpawnLog
from hublaunch.launch.course.requeue import wait_without_queue
from hublaunch.launch.course.spawn import Spawn, WaitInQueue
from hublaunch.launch.course.together import together
from hublaunch.launch.course.warm import find_warm
from hublaunch.launch.errors import HubUnavailable
from hublaunch.launch.model import Attempt, Event, LaunchRequest, Status, Step
from hublaunch.launch.pace import Pace
from hublaunch.launch.ports import Hub, Server

ASKING = "Asking JupyterHub for a server"
"""The first step of every attempt, before the first call to the Hub."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """How visitors get into their servers."""

    token_mode: Literal["hub", "user_options", "none"]
    """`hub`: with a token that the Hub makes. `user_options`: with a token that hublaunch makes and the spawner passes
    to the server. `none`: with their own login at the Hub."""
    token_lifetime_s: int


@dataclass(frozen=True, kw_only=True, slots=True)
class _Credential:
    token: str | None = None
    expires_at: datetime | None = None


async def run(
    attempt: Attempt,
    request: LaunchRequest,
    *,
    hub: Hub,
    entry: Entry,
    record: Record,
    traces: Traces,
    wait_in_queue: WaitInQueue | None = None,
    pace: Pace = Pace(),
) -> None:
    """Get a ready server from the Hub, and record each step. The last step is `ready`.

    First the user is created. Then the visitor's token is made while the server starts and its progress is followed. At
    the end the server itself is asked, because the Hub's `ready` alone proves nothing.

    Raises a LaunchError as soon as one of these cannot succeed. Before each request, `traces` notes everything that the
    request may create at the Hub: after an error or a cancellation, pass them to `clean_up`. When the Hub answers 429,
    this awaits `wait_in_queue` and requests the server again. Without `wait_in_queue`, this waits for as long as the
    Hub asks.
    """
    await record(Step(phase=Status.LAUNCHING, progress=0, message=ASKING))
    asked_at = asyncio.get_running_loop().time()
    if attempt.creates_user:
        with traces.leaving("user"):
            await hub.create_user(attempt.username)
    hub_answers_in_s = asyncio.get_running_loop().time() - asked_at
    spawn = Spawn(attempt, hub=hub, traces=traces, log=SpawnLog(record, image=request.image), pace=pace)
    start = partial(
        spawn.run,
        wait_in_queue=wait_in_queue or partial(wait_without_queue, record=record, pace=pace),
        hub_answers_in_s=hub_answers_in_s,
    )
    user_options = request.user_options
    if entry.token_mode == "hub":
        credential, url = await together(_mint(attempt, hub, entry, traces), lambda _: start(user_options))
    elif entry.token_mode == "user_options":
        credential = _Credential(token=secrets.token_urlsafe(32))
        url = await start({**user_options, "token": credential.token})
    else:
        credential, url = _Credential(), await start(user_options)
    fault = await content_fault(attempt, request, url, credential.token, hub=hub)
    await _record_ready(attempt, spawn, url, credential, record=record, fault=fault)


async def resume(
    attempt: Attempt,
    request: LaunchRequest,
    server: Server,
    past_events: Sequence[Event],
    *,
    hub: Hub,
    entry: Entry,
    record: Record,
    traces: Traces,
    pace: Pace = Pace(),
) -> None:
    """Continue an attempt that another process began, and whose `server` the Hub has, starting or ready.

    Starts nothing. The progress is followed beyond `past_events`, the attempt's stored events. The visitor's token was
    lost with the other process, so it is revoked and a new one is made. Otherwise as `run`.
    """
    options = server.user_options or {}
    log = SpawnLog(record, image=str(options.get("image", "")), past_events=past_events)
    spawn = Spawn(attempt, hub=hub, traces=traces, log=log, pace=pace)
    if entry.token_mode == "hub":
        credential, url = await together(_mint_again(attempt, hub, entry, traces), lambda _: spawn.follow())
    else:
        # As with BinderHub, the Hub keeps the token among the options that the server was started with.
        token = options.get("token") if entry.token_mode == "user_options" else None
        credential, url = _Credential(token=token), await spawn.follow()
    fault = await content_fault(attempt, request, url, credential.token, hub=hub)
    await _record_ready(attempt, spawn, url, credential, record=record, fault=fault)


async def claim(
    attempt: Attempt, request: LaunchRequest, *, hub: Hub, entry: Entry, record: Record, traces: Traces, pace: Pace
) -> None:
    """Enter the warm server that this attempt has claimed, and record `ready`.

    The visitor's token is the first one for this server. `traces` says whether one may have been made already, by a
    process that has lost the launch; then it is revoked. Raises a LaunchError if the server is gone, is being stopped,
    or does not answer: its user is then of no use. Waits for a Hub that is down, without a limit.
    """
    for pause_s in pace.ask_again_s.pauses():
        try:
            credential, url = await _enter_warm(attempt, hub=hub, entry=entry, traces=traces, pace=pace)
            fault = await content_fault(attempt, request, url, credential.token, hub=hub)
        except HubUnavailable:  # which says nothing about the server
            await asyncio.sleep(pause_s)
        else:
            await record(_ready(url, credential, fault))
            return


async def _enter_warm(
    attempt: Attempt, *, hub: Hub, entry: Entry, traces: Traces, pace: Pace
) -> tuple[_Credential, str]:
    """Return the visitor's credential for the attempt's warm server, and its URL."""
    if entry.token_mode != "hub":
        return _Credential(), await find_warm(hub, attempt, pace=pace)
    minting = _mint_again if traces.token else _mint
    return await together(minting(attempt, hub, entry, traces), lambda _: find_warm(hub, attempt, pace=pace))


async def _record_ready(
    attempt: Attempt, spawn: Spawn, url: str, credential: _Credential, *, record: Record, fault: str | None
) -> None:
    started_at = None if attempt.creates_user else await spawn.started_at()
    await record(replace(_ready(url, credential, fault), server_started_at=started_at, hub_event=spawn.ready_event))


def _ready(url: str, credential: _Credential, fault: str | None) -> Step:
    return Step(
        phase=Status.READY,
        progress=100,
        message=f"The server is ready, but without the repository. {fault}" if fault else "The server is ready",
        url=url,
        token=credential.token,
        token_expires_at=credential.expires_at,
        content_fault=fault,
    )


async def _mint(attempt: Attempt, hub: Hub, entry: Entry, traces: Traces) -> _Credential:
    scope = f"access:servers!server={attempt.username}/{attempt.server_name}"
    with traces.leaving("token"):
        minted = await hub.mint_token(
            attempt.username, scope=scope, note=attempt.token_note, expires_in_s=entry.token_lifetime_s
        )
    return _Credential(token=minted.token, expires_at=minted.expires_at)


async def _mint_again(attempt: Attempt, hub: Hub, entry: Entry, traces: Traces) -> _Credential:
    await hub.revoke_tokens(attempt.username, note=attempt.token_note)
    return await _mint(attempt, hub, entry, traces)
