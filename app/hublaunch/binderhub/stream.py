"""Launches in the words of BinderHub's event streams.

https://binderhub.readthedocs.io/en/latest/api.html#events
"""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from hublaunch.api.sse import retry_line
from hublaunch.api.views import Views, problem_view
from hublaunch.api.visibility import Sight
from hublaunch.launch.course.admission import Position
from hublaunch.launch.feed import Feed
from hublaunch.launch.model import Event, Launch, LaunchRequest, Problem, Status
from hublaunch.launch.rules.binder_spec import DOI

LINGER_S = 10.0
"""How long a stream stays open after `ready`, for the client to close it. If the server ends it first, binderhub-client
tells of that as of a failure."""
REFUSED = "refused"
"""The id of what tells that nothing was accepted, so that who reconnects after it asks for nothing again."""

_KEEPALIVE = b":keepalive\n"
"""A comment without a blank line, which ends a block: httpx-sse takes a block without data for an event."""


async def launch_blocks(feed: Feed, words: "Words", launch: Launch, *, after: int) -> AsyncGenerator[bytes]:
    """The launch's events above `after`, each with an id by which a reconnect finds it; comments while there are none.

    The id holds the launch's secret: a client that presents it sees the way into the server.
    """
    yield retry_line()
    is_ready = False
    async with aclosing(feed.follow(launch.id, after=after)) as batches:
        async for news in batches:
            if isinstance(news, Position):
                yield _position(news)
            else:
                yield b"".join(map(words.blocks, news)) or _KEEPALIVE
                is_ready = bool(news) and news[-1].phase is Status.READY
    if is_ready:
        await feed.linger(LINGER_S)


async def built_blocks(feed: Feed, request: LaunchRequest) -> AsyncGenerator[bytes]:
    """What BinderHub says where an image is there, and no server was asked for."""
    yield _block({"phase": "ready", "imageName": request.image, "message": "The image is there\n"}, event_id=REFUSED)
    await feed.linger(LINGER_S)


async def refused_blocks(problem: Problem) -> AsyncGenerator[bytes]:
    """Why nothing was accepted."""
    yield _block(_failed(problem_view(problem, for_operator=False)), event_id=REFUSED)


class Words:
    """The events of one launch, for one stream. `launch_host` is the address of this service for its client."""

    def __init__(self, views: Views, launch: Launch, *, secret: str, launch_host: str) -> None:
        self._views = views
        self._launch = launch
        self._secret = secret
        self._launch_host = launch_host
        self._told_image = False

    def blocks(self, event: Event) -> bytes:
        """An event; before the first `launching` one the image is told, as BinderHub does."""
        block = _block(self._data(event), event_id=f"{event.launch_id}.{event.seq}.{self._secret}")
        if self._told_image or event.phase is not Status.LAUNCHING:
            return block
        self._told_image = True
        image = self._launch.request.image
        return _block({"phase": "built", "imageName": image, "message": f"The image is {image}\n"}) + block

    def _data(self, event: Event) -> dict[str, Any]:
        shown = self._views.event(event, self._launch, sight=Sight.PRIVATE | Sight.ENTRY)
        common = {"message": shown["message"] + "\n", "progress": event.progress, "launch_id": event.launch_id}
        match event.phase:
            case Status.FAILED:
                return common | _failed(shown["problem"])
            case Status.CANCELLED:
                return common | {"phase": "failed"}
            case Status.READY:
                entry = {name: shown[name] or "" for name in ("url", "token", "image", "repo_url")}
                entry["repo_url"] = entry["repo_url"].removeprefix(DOI)  # BinderHub's is the bare DOI
                asked = {"binder_launch_host": self._launch_host, **self._launch.request.extra_args}
                return {**asked, **common, **entry, "phase": "ready"}
        return common | {"phase": event.phase}


def _failed(problem: dict[str, str]) -> dict[str, Any]:
    """`message` is all that BinderHub's clients show."""
    message = f"{problem['title']}: {problem['detail']} {problem['advice']}\n"
    return {"phase": "failed", "message": message, "problem": problem}


def _position(position: Position) -> bytes:
    wait = "" if position.eta_s is None else f", about {position.eta_s} s to go"
    message = f"Number {position.position} in the queue{wait}" if position.position else "It is its turn"
    return _block({"phase": "waiting", "message": f"{message}\n"})


def _block(data: dict[str, Any], *, event_id: str = "") -> bytes:
    named = f"id: {event_id}\n" if event_id else ""
    return f"{named}data: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()
