"""Metrics of adopted launches and of orphans."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from hublaunch.hub.client import HubClient
from hublaunch.launch.caller import Caller
from hublaunch.launch.model import LaunchRequest
from hublaunch.launch.rules.guard import Guard
from hublaunch.observe.metrics import Metrics
from hublaunch.store.sql import SqlLaunchStore
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.launching import SEALER, launching

ANYBODY = Caller(kind="anonymous", key="192.0.2.7")
UNGUARDED = Guard(mode="off", failure_limit=4)
REQUEST = LaunchRequest(image="a/b", repo_url="https://example.org/a/b")


@asynccontextmanager
async def process(path: Path) -> AsyncGenerator[tuple[SqlLaunchStore, Metrics]]:
    """Yield the store of a process, and its metrics."""
    async with SqlLaunchStore(f"sqlite:///{path}/l.sqlite", sealer=SEALER) as store:
        metrics = Metrics(
            codes=(),
            kinds=(),
            capacity=partial(store.queue.capacity, guard=UNGUARDED, most=50),
            followers=lambda: 0,
            loops=dict,
        )
        store.news.subscribe(metrics.on_news)
        yield store, metrics


def count(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"hublaunch_{name}_total", labels)


async def test_an_adopted_launch_is_counted(hub: FakeHub, client: HubClient, tmp_path: Path) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    async with process(tmp_path) as (store, _), launching(hub, client, store) as core:
        launch = await core.service.start(REQUEST, ANYBODY)
        await hub.until(lambda: hub.is_spawning(launch.attempt.username))

    async with process(tmp_path) as (store, metrics), launching(hub, client, store) as core:
        hub.release(launch.attempt.username)
        await core.idle()

    assert count(metrics, "launches_adopted") == 1
    assert count(metrics, "orphans_found") == 0
    assert count(metrics, "launches_ended", outcome="ready", cause="") == 1
    assert (
        metrics.registry.get_sample_value("hublaunch_launch_queue_seconds_count") == 0
    )  # counted by the first process


async def test_a_user_without_a_server_is_counted_as_an_orphan_found_and_cleaned_up(
    hub: FakeHub, client: HubClient, tmp_path: Path
) -> None:
    async with process(tmp_path) as (store, before), launching(hub, client, store, cull_after_s=0) as core:
        launch = await core.launch(ANYBODY, REQUEST)
        await hub.stop_server(launch.attempt.username, "", remove=False)
        assert not await core.reaper.has_server(launch)

    async with process(tmp_path) as (store, metrics), launching(hub, client, store) as core:
        await core.idle()

    assert not hub.users
    assert count(before, "launches_stopped", by="hub") == 1
    assert (count(metrics, "orphans_found"), count(metrics, "orphans_cleaned_up")) == (1, 1)
    assert count(metrics, "launches_adopted") == 0


async def test_a_ready_launch_is_cleaned_up_once_if_cancelled(hub: FakeHub, client: HubClient, tmp_path: Path) -> None:
    async with process(tmp_path) as (store, metrics), launching(hub, client, store) as core:
        launch = await core.launch(ANYBODY, REQUEST)
        await core.service.cancel(launch.id)
        core.leases.wake()
        await hub.until(lambda: not hub.users)
        await core.idle()

    assert (count(metrics, "orphans_found"), count(metrics, "orphans_cleaned_up")) == (1, 1)
    assert count(metrics, "launches_adopted") == 0
