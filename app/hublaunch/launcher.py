"""Launcher: BinderHub's documented class, for use as a library.

async with Launcher.connect(hub_url="https://hub.example.org/", hub_api_token="…") as launcher:
server = await launcher.launch("quay.io/jupyter/base-notebook", launcher.unique_name_from_repo(""))
print(server["url"], server["token"])
"""

import inspect
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self
from urllib.parse import quote

import httpx
from ulid import ULID

from hublaunch.hub.client import HubClient
from hublaunch.hub.connect import connect_hub
from hublaunch.launch.acceptance.account import check_name, check_room
from hublaunch.launch.acceptance.hook import PreLaunchHook
from hublaunch.launch.course.alone import launch_alone
from hublaunch.launch.model import DEFAULT_SERVER, Attempt, Step
from hublaunch.launch.pace import Pace
from hublaunch.launch.rules import names
from hublaunch.launch.rules.request import launch_request
from hublaunch.settings import Settings
from hublaunch.wiring.rules import entry_of, policy_of, server_limits_of

EventCallback = Callable[[dict[str, Any]], object]
"""Gets each progress event in the Hub's form: `progress`, `message`, and in the last one `ready` and `url`."""


class Launcher:
    """Launch an image with a temporary user, or for an existing one, via JupyterHub.

    Its settings have the names of BinderHub's traits. `hub_url` and the others may also come from the environment, as
    in `Settings`.
    """

    def __init__(self, settings: Settings, *, hub: HubClient, pace: Pace = Pace()) -> None:
        self.hub_url = settings.hub_url
        self.hub_url_local = settings.hub_url_local or settings.hub_url
        self.create_user = settings.create_user
        self.allow_named_servers = settings.allow_named_servers
        self.named_server_limit_per_user = settings.named_server_limit_per_user
        self.launch_timeout = settings.launch_timeout
        self._hub = hub
        self._pace = pace
        self._policy = policy_of(settings)
        self._allowed_images = settings.allowed_images or ("*",)
        self._entry = entry_of(settings)
        self._limits = server_limits_of(settings)
        self.hook = PreLaunchHook(settings.pre_launch_hook, self) if settings.pre_launch_hook else None

    @classmethod
    @asynccontextmanager
    async def connect(
        cls, *, transport: httpx.AsyncBaseTransport | None = None, pace: Pace = Pace(), **settings: Any
    ) -> AsyncGenerator[Self]:
        """Return a launcher with its own connections, which close on exit; `settings` as in `Settings`."""
        given = Settings(**settings)
        async with connect_hub(given, transport=transport) as hub:
            yield cls(given, hub=hub, pace=pace)

    async def api_request(self, path: str, *, method: str = "GET", json: object = None) -> httpx.Response:
        """Send a request to the Hub's API with the token, and retry it if that is safe. `path` is below `hub/api/`.

        Raises a HubError unless the answer is a 2xx.
        """
        return await self._hub.request(method, path, body=json)

    async def get_user_data(self, username: str) -> dict[str, Any]:
        """Return the Hub's user model (`GET /users/{name}`). Raises HubRefused with status 404 for an unknown user."""
        check_name("username", username)
        response = await self.api_request(f"users/{quote(username, safe='@~')}")
        data: dict[str, Any] = response.json()
        return data

    def unique_name_from_repo(self, repo_url: str) -> str:
        """Return a name for a user, or with `allow_named_servers` for a server: `minrk-binder-example-1a2b3c4d`."""
        if self.allow_named_servers:
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
        """Launch a server and return `{url, image, repo_url, token, **extra_args}` once it answers.

        With `create_user` the user is created first, and must not exist. Without it the user must exist, and have no
        running default server or, if there is a `server_name`, fewer named servers than the limit. `event_callback` is
        awaited with each progress event, in the Hub's order; an exception from it ends the launch.

        Raises a LaunchError. If the launch ends before it is ready, even by cancellation, everything that it created
        is deleted before this returns, within 60 s. Nothing else is touched.
        """
        args = dict(extra_args or {})
        request = launch_request(image=image, repo_url=repo_url, extra_args=args, allowed_extra_args=args)
        check_name("username", username)
        if server_name:
            check_name("server_name", server_name)
        self._policy.check(request, allowed_images=self._allowed_images)
        if not self.create_user:
            await check_room(self._hub, username, server_name, self._limits)
        if self.hook:
            await self.hook.check(image, username, server_name, repo_url)
        attempt = Attempt(
            launch_id=str(ULID()), number=1, username=username, server_name=server_name, creates_user=self.create_user
        )
        steps = _Steps(event_callback)
        await launch_alone(
            attempt,
            request,
            hub=self._hub,
            entry=self._entry,
            record=steps.record,
            launch_timeout_s=self.launch_timeout,
            pace=self._pace,
        )
        return {**args, "image": image, "repo_url": repo_url, "url": steps.last.url, "token": steps.last.token}


class _Steps:
    """Passes the steps of one launch on, in the Hub's form."""

    last: Step

    def __init__(self, event_callback: EventCallback | None) -> None:
        self._event_callback = event_callback
        self._progress = 0

    async def record(self, step: Step) -> None:
        self.last = step
        self._progress = self._progress if step.progress is None else step.progress
        if self._event_callback is None:
            return
        event: dict[str, Any] = {"progress": self._progress, "message": step.message}
        if step.url is not None:
            event |= {"ready": True, "url": step.url}
        result = self._event_callback(event)
        if inspect.isawaitable(result):
            await result
