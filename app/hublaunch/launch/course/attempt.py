"""One attempt of a launch, from user to ready. Start reading here."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeVar

from hublaunch.launch.course.cleanup import Traces
from hublaunch.launch.course.spawn import Spawn, WaitInQueue
from hublaunch.launch.model import Attempt, Event, LaunchRequest, Status, Step
from hublaunch.launch.pace import Pace
from hublaunch.launch.ports import Hub, Server

A = TypeVar("A")
B = TypeVar("B")

ASKING = "Asking JupyterHub for a server"
"""The first step of every attempt; those after it are the Hub's."""

Record = Callable[[Step], Awaitable[object]]
"""Takes a step and returns once it is stored; only then may what follows from it be done."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """How visitors get into their servers."""

    token_mode: Literal["hub", "user_options", "none"]
    """`none`: by their own login at the Hub, so that no token is made for them."""
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
    """Get a ready server from the Hub, recording each step; the last one is `ready`.

    The user first; then the visitor's token, the start of the server and its progress side by side; then the server
    itself is asked. Raises a LaunchError as soon as one of them cannot succeed. After an error or a cancellation
    `clean_up` deletes what `traces`, in which each creation is noted, says may exist at the Hub. At the Hub's 429
    `wait_in_queue` is called, and the server is requested again once it returns. Without it, the Hub's wait applies.
    """
    await record(Step(phase=Status.LAUNCHING, progress=0, message=ASKING))
    asked_at = asyncio.get_running_loop().time()
    if attempt.creates_user:
        with traces.leaving("user"):
            await hub.create_user(attempt.username)
    answers_in_s = asyncio.get_running_loop().time() - asked_at
    user_options = {**request.extra_args, "image": request.image, "repo_url": request.repo_url}
    spawn = Spawn(
        attempt,
        hub=hub,
        record=record,
        traces=traces,
        image=request.image,
        wait_in_queue=wait_in_queue,
        answers_in_s=answers_in_s,
        pace=pace,
    )
    if entry.token_mode == "hub":
        credential, url = await _both(_mint(attempt, hub, entry, traces), spawn.run(user_options))
    elif entry.token_mode == "user_options":
        credential = _Credential(token=secrets.token_urlsafe(32))
        url = await spawn.run({**user_options, "token": credential.token})
    else:
        credential, url = _Credential(), await spawn.run(user_options)
    await _record_ready(attempt, spawn, url, credential, record=record)


async def go_on(
    attempt: Attempt,
    server: Server,
    told: Sequence[Event],
    *,
    hub: Hub,
    entry: Entry,
    record: Record,
    traces: Traces,
    pace: Pace = Pace(),
) -> None:
    """Go on with an attempt that another process began, and whose `server` stands at the Hub, starting or ready.

    Nothing is started: its progress is followed beyond what was `told`, and the visitor's token, which was lost with
    that process, is made anew. Otherwise as `run`.
    """
    options = server.user_options or {}
    image = str(options.get("image", ""))
    spawn = Spawn(attempt, hub=hub, record=record, traces=traces, image=image, told=told, pace=pace)
    if entry.token_mode == "hub":
        credential, url = await _both(_mint_anew(attempt, hub, entry, traces), spawn.follow())
    else:
        # BinderHub's way: the Hub keeps the token among what the server was started with.
        token = options.get("token") if entry.token_mode == "user_options" else None
        credential, url = _Credential(token=token), await spawn.follow()
    await _record_ready(attempt, spawn, url, credential, record=record)


async def _record_ready(attempt: Attempt, spawn: Spawn, url: str, credential: _Credential, *, record: Record) -> None:
    await record(
        Step(
            phase=Status.READY,
            progress=100,
            message="The server is ready",
            url=url,
            token=credential.token,
            token_expires_at=credential.expires_at,
            server_started_at=None if attempt.creates_user else await spawn.started_at(),
        )
    )


async def _mint(attempt: Attempt, hub: Hub, entry: Entry, traces: Traces) -> _Credential:
    scope = f"access:servers!server={attempt.username}/{attempt.server_name}"
    with traces.leaving("token"):
        minted = await hub.mint_token(
            attempt.username, scope=scope, note=attempt.token_note, expires_in_s=entry.token_lifetime_s
        )
    return _Credential(token=minted.token, expires_at=minted.expires_at)


async def _mint_anew(attempt: Attempt, hub: Hub, entry: Entry, traces: Traces) -> _Credential:
    await hub.revoke_tokens(attempt.username, note=attempt.token_note)
    return await _mint(attempt, hub, entry, traces)


async def _both(beside: Coroutine[Any, Any, A], work: Coroutine[Any, Any, B]) -> tuple[A, B]:
    """Both results; the first error of either cancels the other and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(beside)
            result = await work
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from errors
    return task.result(), result
