"""The real Hub's parts for tests: a spawner that follows a `SpawnPlan`, and a proxy that only records routes.

It runs in the Hub's own Python, with JupyterHub 4 to 6, and uses only packages that the Hub depends on.
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any, ClassVar

from jupyterhub.proxy import Proxy
from jupyterhub.spawner import Spawner
from tornado import web
from traitlets import Float, observe

from tests.fakes.spawn_plan import SpawnPlan

_VERSION = b'{"version": "2.17.0"}'
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(_VERSION), _VERSION)


class PlanSpawner(Spawner):  # type: ignore[misc]  # JupyterHub is not typed
    """Starts no process. The "server" is a port in the Hub's own loop, and answers every request with a version."""

    start_timeout = Float(60)
    releases: ClassVar[dict[str, asyncio.Event]] = {}
    """By username: set once the test has released the spawn or the stop, perhaps before it waits."""
    _listener: asyncio.Server | None = None
    _started_at: float | None = None

    async def start(self) -> tuple[str, int]:
        self._started_at = asyncio.get_running_loop().time()
        plan = self._plan()
        if plan.never:
            await self._until_released()
        await asyncio.sleep(plan.seconds or 0)
        if plan.fails is not None:
            raise self._failure(plan)
        self._listener = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        port: int = self._listener.sockets[0].getsockname()[1]
        return "127.0.0.1", port

    async def progress(self) -> AsyncGenerator[dict[str, Any], None]:
        plan = self._plan()
        loop = asyncio.get_running_loop()
        begun_at = self._started_at if self._started_at is not None else loop.time()
        for second, event in plan.timeline(plan.seconds or 0):
            await asyncio.sleep(max(0, begun_at + second - loop.time()))
            yield event

    async def poll(self) -> int | None:
        return None if self._started_at is not None else 0

    async def stop(self, now: bool = False) -> None:
        plan = self._plan()
        if plan.never_stops:
            await self._until_released()
        await asyncio.sleep(plan.stop_seconds or 0)
        self._started_at = None
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    @observe("user_options")
    def _keep_start_timeout(self, change: object) -> None:
        """Set the timeout of this spawn; the Hub reads it before `start` runs."""
        self.start_timeout = self._plan().start_timeout or 60

    async def _until_released(self) -> None:
        await self.releases.setdefault(self.user.name, asyncio.Event()).wait()
        del self.releases[self.user.name]

    def _plan(self) -> SpawnPlan:
        return SpawnPlan.from_options(self.user_options) or SpawnPlan()

    @staticmethod
    def _failure(plan: SpawnPlan) -> Exception:
        if plan.status is not None:
            return web.HTTPError(plan.status, plan.fails)
        return RuntimeError(plan.fails) if plan.fails else TimeoutError()

    @staticmethod
    async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(_ANSWER)
        await writer.drain()
        writer.close()


class NoProxy(Proxy):  # type: ignore[misc]  # as above
    """Records the routes but routes nothing, because the tests talk to the Hub's own port."""

    should_start = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._routes: dict[str, dict[str, Any]] = {}

    async def add_route(self, routespec: str, target: str, data: dict[str, Any]) -> None:
        self._routes[routespec] = {"routespec": routespec, "target": target, "data": data}

    async def delete_route(self, routespec: str) -> None:
        self._routes.pop(routespec, None)

    async def get_all_routes(self) -> dict[str, dict[str, Any]]:
        return dict(self._routes)


class TestHandler(web.RequestHandler):
    """A request of the tests."""

    def check_xsrf_cookie(self) -> None:
        """Skip the XSRF check. Tests have no cookies, and only this machine can reach the port."""


class SettingsHandler(TestHandler):
    """`PUT /hub/test-settings` changes settings that the Hub reads at each request, so one Hub serves all tests."""

    def put(self) -> None:
        self.settings.update(json.loads(self.request.body))
        self.set_status(204)


class ReleaseHandler(TestHandler):
    """`POST /hub/test-release/NAME` ends the user's spawn or stop that waits for it, or the next one."""

    def post(self, username: str) -> None:
        PlanSpawner.releases.setdefault(username, asyncio.Event()).set()
        self.set_status(204)
