"""Launcher: takes the place of `binderhub.launcher.Launcher` inside BinderHub, on the engine of `hublaunch.Launcher`.

import binderhub.app, hublaunch.binderhub
binderhub.app.Launcher = hublaunch.binderhub.Launcher  # in binderhub_config.py
"""

import asyncio
import html
import inspect
import json
import os
import secrets
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from weakref import finalize

import traitlets
from tornado.httpclient import HTTPRequest, HTTPResponse
from tornado.httputil import HTTPHeaders
from tornado.web import HTTPError
from traitlets.config import LoggingConfigurable
from ulid import ULID

from hublaunch.binderhub.hub_requests import fetch
from hublaunch.hub.address import HubPace
from hublaunch.hub.client import HubClient
from hublaunch.hub.connect import connect_hub
from hublaunch.launch.acceptance.account import check_name
from hublaunch.launch.course.alone import launch_alone
from hublaunch.launch.course.attempt import ASKING, Entry
from hublaunch.launch.errors import (
    InvalidRequest,
    LaunchError,
    NamedServerLimitReached,
    RequestRefused,
    ServerAlreadyRunning,
    SpawnTimedOut,
)
from hublaunch.launch.model import DEFAULT_SERVER, Attempt, LaunchRequest, Status, Step
from hublaunch.launch.pace import Pace
from hublaunch.launch.rules import names
from hublaunch.settings import Settings

EventCallback = Callable[[dict[str, Any]], object]
"""Gets each event of the Hub's progress stream as the Hub sent it. It may be a coroutine function, as in BinderHub."""

_API_URL = "JUPYTERHUB_API_URL"

_NO_TOKEN_OF_THE_HUB = Entry(token_mode="none", token_lifetime_s=0)
"""The visitor's token is in `user_options` instead."""

_closing: set[asyncio.Task[bool | None]] = set()
"""Tasks that close connections. An event loop alone does not keep a task from being garbage-collected."""


class LaunchTimedOut(HTTPError, TimeoutError):
    """`launch_timeout` ran out. It is a TimeoutError, as BinderHub documents, and an HTTPError, as it really raises."""


class Launcher(LoggingConfigurable):
    """Launches images with temporary users, or for users who are logged in, via JupyterHub.

    Traits, methods, results and errors are those of BinderHub's class. The connections to the Hub are opened on first
    use, shared by all launches, and closed with the event loop or the process.
    """

    hub_api_token = traitlets.Unicode(help="The token for requests to the Hub's API.")
    hub_url = traitlets.Unicode(help="The URL of the Hub as browsers reach it. The URL of each server begins with it.")
    hub_url_local = traitlets.Unicode(
        help="The URL of the Hub for API requests, `hub_url` by default. JUPYTERHUB_API_URL takes precedence over it."
    )
    create_user = traitlets.Bool(True, help="Whether each launch creates a temporary user.")
    allow_named_servers = traitlets.Bool(
        help="Whether users who are logged in can have named servers. Each of their launches then starts a new one."
    ).tag(config=True)
    named_server_limit_per_user = traitlets.Integer(help="Maximum number of named servers per user; 0: no limit.").tag(
        config=True
    )
    retries = traitlets.Integer(4, help="How many times a request to the Hub's API is tried.").tag(config=True)
    retry_delay = traitlets.Integer(
        4, help="Seconds before the first repeat of a request to the Hub's API. They double with each repeat."
    ).tag(config=True)
    pre_launch_hook = traitlets.Callable(
        None,
        allow_none=True,
        help=(
            "A function that is called before each launch, with the launcher, the image, the username, the server name "
            "and the repository's URL. An error that it raises ends the launch. It may be a coroutine function."
        ),
    ).tag(config=True)
    launch_timeout = traitlets.Integer(
        600, help="Seconds until the server must be ready. A launch that takes longer is stopped."
    ).tag(config=True)

    _connection: "_Connection | None" = None
    _pace = Pace()

    @traitlets.default("hub_api_token")
    def _default_hub_api_token(self) -> str:
        return os.environ.get("JUPYTERHUB_API_TOKEN", "")

    @traitlets.default("hub_url_local")
    def _default_hub_url_local(self) -> str:
        return self.hub_url

    @traitlets.default("allow_named_servers")
    def _default_allow_named_servers(self) -> bool:
        return os.environ.get("JUPYTERHUB_ALLOW_NAMED_SERVERS") == "true"

    @traitlets.default("named_server_limit_per_user")
    def _default_named_server_limit_per_user(self) -> int:
        return int(os.environ.get("JUPYTERHUB_NAMED_SERVER_LIMIT_PER_USER", "0"))

    @traitlets.observe("hub_api_token", "hub_url", "hub_url_local", "retries", "retry_delay")
    def _connect_anew(self, _change: object) -> None:
        self._connection = None

    async def api_request(self, url: str, *args: Any, **kwargs: Any) -> HTTPResponse:
        """Send a request to the Hub's API with the token, and return the response if it is a 2xx.

        `url` is relative to the API's root. The other arguments are those of tornado's HTTPRequest. Retries and errors
        are those of `fetch`.
        """
        request = HTTPRequest(self._api_url() + url, *args, **kwargs)
        request.headers = HTTPHeaders(request.headers)  # the caller's headers stay without the token
        request.headers["Authorization"] = f"token {self.hub_api_token}"
        return await fetch(request, pace=HubPace(tries=self.retries, retry_delay_s=self.retry_delay))

    async def get_user_data(self, username: str) -> dict[str, Any]:
        """Return the Hub's user model. `username` is percent-encoded. Raises HTTPClientError 404 for unknown users."""
        response = await self.api_request(f"users/{username}")
        data: dict[str, Any] = json.loads(response.body)
        return data

    def unique_name_from_repo(self, repo_url: str) -> str:
        """Return a new name for a repository's server or temporary user: `minrk-binder-example-1a2b3c4d`."""
        if self.allow_named_servers and not self.create_user:
            return names.unique_server_name(repo_url)
        return names.unique_name_from_repo(repo_url)

    async def launch(
        self,
        image: str,
        username: str,
        server_name: str = DEFAULT_SERVER,
        repo_url: str = "",
        extra_args: Mapping[str, Any] | None = None,
        event_callback: EventCallback | None = None,
    ) -> dict[str, Any]:
        """Launch a server, and return its `user_options` and its `url` once it answers.

        The `user_options` are `image`, `repo_url`, a new `token`, and the `extra_args`, which may replace them. With
        `create_user` the user is created, and otherwise must have room for the server. `event_callback` is awaited with
        each event of the Hub in the Hub's order, and with messages of hublaunch while the Hub has none.

        Raises tornado's HTTPError with a message for the visitor, LaunchTimedOut after `launch_timeout`, and the errors
        of `pre_launch_hook` and `event_callback` unchanged. If the launch ends before it is ready, even by
        cancellation, everything that it created is deleted before this returns, within 60 s.
        """
        try:
            check_name("username", username)
            if server_name:
                check_name("server_name", server_name)
            if not self.create_user:
                await self._check_room(username, server_name)
            if self.pre_launch_hook is not None:
                await _result(self.pre_launch_hook(self, image, username, server_name, repo_url))
            options = {
                "image": image,
                "repo_url": repo_url,
                "token": secrets.token_urlsafe(),
                **(extra_args or {}),
            }
            url = await self._launch(username, server_name, options, _Events(event_callback))
        except LaunchError as error:
            self.log.warning("The launch of %s for %s failed: %s %s", image, username, error, error.operator_advice)
            raise _http_error(error) from error
        return {**options, "url": url}

    async def _check_room(self, username: str, server_name: str) -> None:
        """Check that an existing user can have this server. As in BinderHub, only active servers count."""
        limit = self.named_server_limit_per_user
        if server_name and limit <= 0:
            return
        user = await (await self._connected()).get_user(username)
        if user is None:
            raise InvalidRequest("username", "JupyterHub has no such user")
        if not server_name and (running := user.servers.get(server_name)):
            raise ServerAlreadyRunning(running.url, open_url=running.url)
        if server_name and sum(name != DEFAULT_SERVER for name in user.servers) >= limit:
            raise NamedServerLimitReached(limit)

    async def _launch(
        self, username: str, server_name: str, options: Mapping[str, Any], events: "_Events"
    ) -> str | None:
        hub = await self._connected()
        attempt = Attempt(
            launch_id=str(ULID()), number=1, username=username, server_name=server_name, creates_user=self.create_user
        )
        try:
            await launch_alone(
                attempt,
                LaunchRequest(image=options["image"], repo_url=options["repo_url"], extra_args=options),
                hub=hub,
                entry=_NO_TOKEN_OF_THE_HUB,
                record=events.record,
                launch_timeout_s=self.launch_timeout,
                pace=self._pace,
            )
        except LaunchError as error:
            if error.hub_event is not None:
                await events.pass_on(error.hub_event)
            raise
        return events.last.url

    async def _connected(self) -> HubClient:
        """Return the client of this event loop, with the traits as they are now."""
        loop = asyncio.get_running_loop()
        if self._connection is None or self._connection.loop is not loop:
            given: dict[str, Any] = {
                "hub_url": self.hub_url,
                "hub_api_token": self.hub_api_token,
                "retries": self.retries,
                "retry_delay": self.retry_delay,
            }
            if not os.environ.get(_API_URL):  # which Settings reads too
                given["hub_url_local"] = self.hub_url_local
            if self._connection is not None and self._connection.loop.is_closed():
                self._connection.forget()
            context = connect_hub(Settings(**given))
            hub = await context.__aenter__()
            self._connection = _Connection(loop, hub, finalize(self, _close, loop, context).detach)
        return self._connection.hub

    def _api_url(self) -> str:
        url = os.environ.get(_API_URL) or f"{self.hub_url_local.rstrip('/')}/hub/api"
        return f"{url.rstrip('/')}/"


@dataclass(frozen=True, slots=True)
class _Connection:
    """The client of one event loop."""

    loop: asyncio.AbstractEventLoop
    hub: HubClient
    forget: Callable[[], object]
    """Keep the connections from being closed when the launcher is garbage-collected or the process ends."""


def _close(loop: asyncio.AbstractEventLoop, context: AbstractAsyncContextManager[HubClient]) -> None:
    """Close the client's connections, unless asyncio has closed them with their loop."""
    if loop.is_closed():
        return
    closing = context.__aexit__(None, None, None)
    if loop.is_running():
        loop.call_soon_threadsafe(_close_in_task, loop, closing)
    else:
        loop.run_until_complete(closing)


def _close_in_task(loop: asyncio.AbstractEventLoop, closing: Coroutine[Any, Any, bool | None]) -> None:
    task = loop.create_task(closing)
    _closing.add(task)
    task.add_done_callback(_closing.discard)


class _Events:
    """Passes the events of one launch on, in the Hub's form."""

    last: Step

    def __init__(self, callback: EventCallback | None) -> None:
        self._callback = callback
        self._progress = 0

    async def record(self, step: Step) -> None:
        self.last = step
        self._progress = self._progress if step.progress is None else step.progress
        if step.hub_event is not None:
            await self.pass_on(step.hub_event)
        elif step.message != ASKING:
            await self.pass_on(self._in_the_hubs_form(step))

    async def pass_on(self, event: Mapping[str, Any]) -> None:
        if self._callback is not None:
            await _result(self._callback(dict(event)))

    def _in_the_hubs_form(self, step: Step) -> dict[str, Any]:
        event: dict[str, Any] = {"progress": self._progress, "message": step.message}
        if step.phase is Status.READY:
            event |= {"ready": True, "html_message": html.escape(step.message), "url": urlsplit(step.url).path}
        return event


async def _result(returned: object) -> None:
    """Await the result of an operator's function, if it is a coroutine function."""
    if inspect.isawaitable(returned):
        await returned


def _http_error(error: LaunchError) -> HTTPError:
    """Return the error for the visitor, with the statuses that BinderHub's class has for its errors."""
    if isinstance(error, SpawnTimedOut):
        return LaunchTimedOut(500, str(error))
    if isinstance(error, InvalidRequest):
        return HTTPError(400, str(error))
    return HTTPError(409 if isinstance(error, RequestRefused) else 500, str(error))
