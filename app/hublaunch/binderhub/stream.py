"""Launches as BinderHub's event streams.

https://binderhub.readthedocs.io/en/latest/api.html#events
"""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from hublaunch.api.problems.types import problem_body
from hublaunch.api.sse import retry_line
from hublaunch.api.views import Views
from hublaunch.api.visibility import Visibility
from hublaunch.launch.course.admission import Position
from hublaunch.launch.feed import Feed
from hublaunch.launch.model import Event, Launch, LaunchRequest, Status
from hublaunch.launch.problem import Problem
from hublaunch.launch.rules.binder_spec import DOI

REFUSED = "refused"
"""The id of an event that ends a stream without a launch, so that a client that reconnects starts nothing."""

_KEEPALIVE = b":keepalive\n"
"""A comment without the blank line that ends a block, because httpx-sse reads a block without data as an event."""


async def launch_blocks(
    feed: Feed, events: "BinderEvents", launch: Launch, *, after: int, linger_s: float
) -> AsyncGenerator[bytes]:
    """Yield the launch's events above `after`, with comments in between.

    The stream stays open for `linger_s` after `ready`, because binderhub-client reports a failure if the server closes
    it first. The id of each event contains the launch's secret, so that a client that reconnects sees everything.
    """
    yield retry_line()
    is_ready = False
    async with aclosing(feed.follow(launch.id, after=after)) as batches:
        async for news in batches:
            if isinstance(news, Position):
                yield _position(news)
            else:
                yield b"".join(map(events.blocks, news)) or _KEEPALIVE
                is_ready = bool(news) and news[-1].phase is Status.READY
    if is_ready:
        await feed.linger(linger_s)


async def built_blocks(feed: Feed, request: LaunchRequest, *, linger_s: float) -> AsyncGenerator[bytes]:
    """Yield BinderHub's answer to `build_only`: the image exists."""
    yield _block({"phase": "ready", "imageName": request.image, "message": "The image exists\n"}, event_id=REFUSED)
    await feed.linger(linger_s)


async def refused_blocks(problem: Problem) -> AsyncGenerator[bytes]:
    """Yield why the launch was not accepted."""
    yield _block(_failed(problem_body(problem, for_operator=False)), event_id=REFUSED)


class BinderEvents:
    """Renders the events of one launch for one stream, as BinderHub's."""

    def __init__(self, views: Views, launch: Launch, *, secret: str, launch_host: str) -> None:
        """`launch_host` is the address of this service as the client sees it, ending in `/`."""
        self._views = views
        self._launch = launch
        self._secret = secret
        self._launch_host = launch_host
        self._has_sent_image = False

    def blocks(self, event: Event) -> bytes:
        """Return the event's block; before the first `launching` one comes a `built` event, as in BinderHub."""
        block = _block(self._data(event), event_id=f"{event.launch_id}.{event.seq}.{self._secret}")
        if self._has_sent_image or event.phase is not Status.LAUNCHING:
            return block
        self._has_sent_image = True
        image = self._launch.request.image
        return _block({"phase": "built", "imageName": image, "message": f"The image is {image}\n"}) + block

    def _data(self, event: Event) -> dict[str, Any]:
        shown = self._views.event(event, self._launch, visibility=Visibility.PRIVATE | Visibility.ENTRY)
        common = {"message": shown["message"] + "\n", "progress": event.progress, "launch_id": event.launch_id}
        match event.phase:
            case Status.FAILED:
                return common | _failed(shown["problem"])
            case Status.CANCELLED:
                return common | {"phase": "failed"}
            case Status.READY:
                entry = {name: shown[name] or "" for name in ("url", "token", "image", "repo_url")}
                entry["repo_url"] = entry["repo_url"].removeprefix(DOI)  # BinderHub has the bare DOI
                extra = {"binder_launch_host": self._launch_host, **self._launch.request.extra_args}
                return {**extra, **common, **entry, "phase": "ready"}
        return common | {"phase": event.phase}


def _failed(problem: dict[str, str]) -> dict[str, Any]:
    """Return the fields of a failure. BinderHub's clients show only `message`."""
    message = f"{problem['title']}: {problem['detail']} {problem['advice']}\n"
    return {"phase": "failed", "message": message, "problem": problem}


def _position(position: Position) -> bytes:
    wait = "" if position.eta_s is None else f", about {position.eta_s} s left"
    message = f"Position {position.position} in the queue{wait}" if position.position else "Admitted"
    return _block({"phase": "waiting", "message": f"{message}\n"})


def _block(data: dict[str, Any], *, event_id: str = "") -> bytes:
    named = f"id: {event_id}\n" if event_id else ""
    return f"{named}data: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()
