"""The two services that the client's tests run on: the real one beside a fake Hub, and `hublaunch.testing`'s fake."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import httpx

from hublaunch import sync
from hublaunch.client import Catalogue, Launch, LaunchClient, LaunchEvent, Position, Session
from hublaunch.files.keys import add_key
from hublaunch.settings import Settings
from hublaunch.testing import FakeHublaunch, FakeLaunch
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.catalogue import catalogue_in
from tests.support.relay import Relay
from tests.support.served import serve

SESSION_S, EXTENDED_SESSION_S = 3600, 7200
"""How long servers may run in either world, without an extension and with all of them."""


class World(Protocol):
    """A service whose launches, and whose connections, do what a test says."""

    url: str
    token: str

    @property
    def transport(self) -> httpx.AsyncBaseTransport | None: ...

    def plan(self, *, messages: tuple[str, ...] = (), fails: str = "", holds: bool = False) -> None:
        """Let launches report these messages and then be ready, fail with a detail, or wait for release()."""

    async def fill(self) -> None:
        """Let the next launch wait in the queue, at position 1 of 1, until release() admits it."""

    def release(self) -> None:
        """Let the launch that is held, or that the next one waits for, become ready."""

    async def until_held(self) -> None:
        """Return once a launch waits for release()."""

    def cut(self) -> None:
        """Break all connections."""

    def go_down(self) -> None:
        """Refuse connections from now on."""

    def come_back(self) -> None: ...

    def lose_answers(self, count: int) -> None: ...


class RealWorld:
    """hublaunch behind a relay, beside a fake Hub."""

    transport = None

    def __init__(self, hub: FakeHub, relay: Relay, token: str, service_url: str) -> None:
        self.url, self.token = f"{relay.url}/", token
        self._hub, self._relay, self._service_url = hub, relay, service_url

    def plan(self, *, messages: tuple[str, ...] = (), fails: str = "", holds: bool = False) -> None:
        seconds = 0.1 if messages else 0.0
        plan = SpawnPlan(messages=list(messages), seconds=seconds, fails=fails or None, never=holds)
        self._hub.spawn_plan(None, plan)

    async def fill(self) -> None:
        self.plan(holds=True)
        async with LaunchClient(self._service_url) as first:
            await first.launch("quay.io/jupyter/first")
        await self.until_held()
        self.plan()

    def release(self) -> None:
        self._hub.release(next(user for user in self._hub.users if self._hub.is_spawning(user)))

    async def until_held(self) -> None:
        await self._hub.until(lambda: any(map(self._hub.is_spawning, self._hub.users)))

    def cut(self) -> None:
        self._relay.cut()

    def go_down(self) -> None:
        self._relay.close()

    def come_back(self) -> None:
        self._relay.open()

    def lose_answers(self, count: int) -> None:
        self._relay.answers_to_lose = count


class FakeWorld:
    """The fake service."""

    token = "a-token-of-ada"

    def __init__(self) -> None:
        self.fake = FakeHublaunch(tokens={self.token: "ada"}, environments={"scipy": ["small", "large"]})
        self.url, self.transport = self.fake.url, self.fake.transport

    def plan(self, *, messages: tuple[str, ...] = (), fails: str = "", holds: bool = False) -> None:
        def play(launch: FakeLaunch) -> None:
            launch.report("Asking JupyterHub for a server", progress=0)
            for message in messages:
                launch.report(message)
            if fails:
                launch.fail("spawn_failed", detail=fails, advice="Check the image.")
            elif not holds:
                launch.ready(session_s=SESSION_S, extended_session_s=EXTENDED_SESSION_S)

        self.fake.play = play

    async def fill(self) -> None:
        self.fake.play = lambda launch: launch.queue(1, 1)

    def release(self) -> None:
        self.fake.launches[-1].ready()

    async def until_held(self) -> None:
        pass

    def cut(self) -> None:
        self.fake.cut()

    def go_down(self) -> None:
        self.fake.is_down = True
        self.cut()

    def come_back(self) -> None:
        self.fake.is_down = False

    def lose_answers(self, count: int) -> None:
        self.fake.answers_to_lose = count


@asynccontextmanager
async def real_world(settings: Settings, hub: FakeHub, directory: Path) -> AsyncGenerator[RealWorld]:
    _, token = add_key(directory / "keys.json", name="ada")
    changed = {
        "access": ("anonymous", "key"),
        "api_keys_file": directory / "keys.json",
        "catalogue_file": catalogue_in(directory),
        "max_concurrent_spawns": 1,
        "max_session_s": SESSION_S,
        "max_extended_session_s": EXTENDED_SESSION_S,
    }
    async with serve(settings.model_copy(update=changed)) as service, Relay(str(service.http.base_url)) as relay:
        yield RealWorld(hub, relay, token, str(service.http.base_url))


class SyncInThread:
    """The synchronous client with the interface of the async one: each call runs in a thread."""

    def __init__(self, client: sync.LaunchClient) -> None:
        self._client = client
        self.url = client.url

    async def launch(self, image: str = "", **options: Any) -> Launch:
        return await asyncio.to_thread(self._client.launch, image, **options)

    async def catalogue(self, **options: Any) -> Catalogue:
        return await asyncio.to_thread(self._client.catalogue, **options)

    async def get(self, launch_id: str) -> Launch:
        return await asyncio.to_thread(self._client.get, launch_id)

    async def cancel(self, launch_id: str) -> bool:
        return await asyncio.to_thread(self._client.cancel, launch_id)

    async def extend(self, launch_id: str, seconds: int, **options: Any) -> Launch:
        return await asyncio.to_thread(self._client.extend, launch_id, seconds, **options)

    async def session(self) -> Session:
        return await asyncio.to_thread(self._client.session)

    async def follow(
        self, launch_id: str, *, after: int = 0, on_position: Callable[[Position], object] = lambda _: None
    ) -> AsyncGenerator[LaunchEvent]:
        loop = asyncio.get_running_loop()

        def here(position: Position) -> None:
            loop.call_soon_threadsafe(on_position, position)

        events = self._client.follow(launch_id, after=after, on_position=here)
        try:
            while (event := await asyncio.to_thread(next, events, None)) is not None:
                yield event
        finally:
            await asyncio.to_thread(events.close)

    async def launches(self, **filters: str) -> AsyncGenerator[Launch]:
        for launch in await asyncio.to_thread(lambda: list(self._client.launches(**filters))):
            yield launch


Client = LaunchClient | SyncInThread


class Connect:
    """Makes clients of one kind, async or not, for one world."""

    def __init__(self, world: World, *, is_async: bool) -> None:
        self.world = world
        self._is_async = is_async

    @asynccontextmanager
    async def __call__(self, *, patience_s: float = 10, **options: Any) -> AsyncGenerator[Client]:
        options |= {"patience_s": patience_s, "transport": self.world.transport}
        if self._is_async:
            async with LaunchClient(self.world.url, **options) as client:
                yield client
            return
        with sync.LaunchClient(self.world.url, **options) as client:
            yield SyncInThread(client)


async def followed(client: Client, launch_id: str, *, after: int = 0) -> list[LaunchEvent]:
    async with asyncio.timeout(20), aclosing(client.follow(launch_id, after=after)) as events:
        return [event async for event in events]
