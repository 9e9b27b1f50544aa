"""The parts that the core builds on: the store, the Hub's client, registries, the feed of events, and loops."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import httpx

from hublaunch.hub.client import HubClient
from hublaunch.hub.connect import connect_hub
from hublaunch.launch.course.launch_run import check_not_dropped
from hublaunch.launch.course.lease_clock import LeaseClock
from hublaunch.launch.feed import Feed
from hublaunch.launch.pace import Pace
from hublaunch.launch.ports import Registry
from hublaunch.launch.rules.guard import Guard
from hublaunch.sealing import Sealer
from hublaunch.settings import Settings
from hublaunch.store.database import is_shared, secret_key
from hublaunch.store.sql import SqlLaunchStore
from hublaunch.wiring.files import Files, read_files, watching
from hublaunch.wiring.observing import Observers, observing
from hublaunch.wiring.registry import open_registry
from hublaunch.wiring.rules import guard_of
from hublaunch.wiring.tasks import Background


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """The parts of one process, open."""

    store: SqlLaunchStore
    hub: HubClient
    feed: Feed
    guard: Guard
    clock: LeaseClock
    background: Background
    files: Files
    registry: Registry | None
    """None if pre-flight is off."""


def secret_keys_of(settings: Settings) -> Sequence[str]:
    """Return the secret key that seals, then the old ones, which only open."""
    given = settings.secret_key.get_secret_value() if settings.secret_key else None
    return [
        secret_key(given, settings.database_url),
        *(key.get_secret_value() for key in settings.old_secret_keys),
    ]


@asynccontextmanager
async def open_parts(
    settings: Settings,
    sealer: Sealer,
    *,
    hub_transport: httpx.AsyncBaseTransport | None,
    pace: Pace,
) -> AsyncGenerator[tuple[Parts, Observers]]:
    """Open the store and the connections to the Hub, observed as the settings ask.

    Raises SettingsFault or FileFault for files and ports that cannot be used, and StoreError for the database.
    """
    files = read_files(settings)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(
            SqlLaunchStore(
                settings.database_url,
                sealer=sealer,
                lease_s=settings.lease_s,
                key_kept_s=settings.idempotency_ttl,
                min_free_space=settings.min_free_space * 1024 * 1024,
                check_space_s=pace.check_space_s,
            )
        )
        feed = Feed(store.log, idle_s=pace.heartbeat_s)
        store.news.subscribe(feed.on_news)
        background = Background()
        observers = await stack.enter_async_context(observing(settings, store, feed, files, background, pace))
        clock, shared = LeaseClock(settings.lease_s), is_shared(settings.database_url)
        hub = await stack.enter_async_context(
            connect_hub(
                settings,
                transport=hub_transport,
                check_lease=clock.check
                if shared
                else check_not_dropped,  # no other process adopts launches from a file
                listeners=observers.of_hub,
            )
        )
        if shared:
            await stack.enter_async_context(background.running("notices", store.listen))
            await stack.enter_async_context(background.running("feed", partial(feed.poll, every_s=pace.poll_log_s)))
        await stack.enter_async_context(watching(files, background, every_s=pace.read_files_s))
        parts = Parts(
            store=store,
            hub=hub,
            feed=feed,
            guard=guard_of(settings),
            clock=clock,
            background=background,
            files=files,
            registry=await stack.enter_async_context(open_registry(settings, files, observers.of_registries)),
        )
        yield parts, observers
