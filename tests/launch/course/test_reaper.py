"""The reaper: ready launches without a server, and old launches."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from hublaunch.launch.caller import Caller
from hublaunch.launch.errors import LaunchGone, LaunchNotFound
from hublaunch.launch.model import Launch, LaunchRequest, Status
from hublaunch.store.sql import SqlLaunchStore
from tests.fakes.hub import FakeHub
from tests.support.launching import Launching, OpenCore
from tests.support.pace import QUICK

ANYBODY = Caller(kind="anonymous", key="192.0.2.7")
ADA = Caller(kind="hub", key="ada")
ALWAYS = replace(QUICK, check_ready_s=0.0)
REQUEST = LaunchRequest(image="a/b", repo_url="https://example.org/a/b")


async def check(core: Launching, _: object = None) -> None:
    """Check all ready launches."""
    for launch in await core.store.upkeep.ready_to_check(every_s=0, limit=99):
        await core.reaper.has_server(launch)


async def until(core: Launching, launch: Launch, status: Status) -> Launch:
    while (current := await core.service.get(launch.id)).status is not status:
        pass
    return current


async def test_a_ready_launch_whose_server_exists_stays_ready(hub: FakeHub, core: Launching) -> None:
    launch = await core.launch(ANYBODY, REQUEST)

    await check(core)

    assert (await core.service.get(launch.id)).status is Status.READY
    assert [asked.username for asked in hub.asked("get_user")][-1:] == [launch.attempt.username]


async def test_a_ready_launch_whose_server_is_gone_becomes_stopped_and_its_user_is_deleted_later(
    hub: FakeHub, open_core: OpenCore, store: SqlLaunchStore
) -> None:
    async with open_core(cull_after_s=3600) as core:
        launch = await core.launch(ANYBODY, REQUEST)
        await hub.stop_server(launch.attempt.username, "", remove=False)

        await check(core)

        stopped = await core.service.get(launch.id)
        assert (stopped.status, stopped.stopped_by) == (Status.STOPPED, "hub")
        assert list(hub.users) == [launch.attempt.username]
        with store.database.writing.begin() as connection:
            connection.execute(text("UPDATE launch_attempts SET clean_at = '2026-01-01 00:00:00.000000'"))
        core.leases.wake()
        await hub.until(lambda: not hub.users)


async def test_a_deleted_user_needs_no_clean_up(hub: FakeHub, core: Launching) -> None:
    launch = await core.launch(ANYBODY, REQUEST)
    await hub.delete_user(launch.attempt.username)

    await check(core)

    stopped = await core.service.get(launch.id)
    assert stopped.status is Status.STOPPED
    assert stopped.cleaned_at is not None


@pytest.mark.parametrize("by", [Launching.cancel, check], ids=["cancellation", "check"])
async def test_a_server_that_the_user_started_since_keeps_running(
    hub: FakeHub, core: Launching, by: Callable[..., Awaitable[None]]
) -> None:
    hub.create_user("ada")
    launch = await core.launch(ADA, REQUEST)
    await hub.stop_server("ada", "", remove=False)
    await hub.start_server("ada", "", {})
    await hub.until(lambda: hub.users["ada"].servers[""].ready)

    await by(core, launch)

    assert (await core.service.get(launch.id)).status is Status.STOPPED
    assert hub.active_servers == {("ada", "")}


async def test_the_reaper_continues_after_the_hub_was_down(hub: FakeHub, open_core: OpenCore) -> None:
    async with open_core(pace=ALWAYS) as core:
        launch = await core.launch(ANYBODY, REQUEST)
        hub.fail_on("get_user", times=5)
        await hub.stop_server(launch.attempt.username, "", remove=False)

        running = asyncio.create_task(core.reaper.run())
        await until(core, launch, Status.STOPPED)
        running.cancel()


async def test_one_failing_check_does_not_block_the_others(hub: FakeHub, open_core: OpenCore) -> None:
    async with open_core(pace=ALWAYS) as core:
        first, second = [await core.launch(ANYBODY, REQUEST) for _ in range(2)]
        hub.fail_on("get_user", username=first.attempt.username, status=403, message="no", times=math.inf)
        await hub.stop_server(second.attempt.username, "", remove=False)

        running = asyncio.create_task(core.reaper.run())
        await until(core, second, Status.STOPPED)
        running.cancel()


async def test_the_hub_is_not_asked_about_users_that_the_store_does_not_name(hub: FakeHub, open_core: OpenCore) -> None:
    hub.create_user("foreign")
    async with open_core() as core:
        await core.launch(ANYBODY, REQUEST)
        await check(core)

    assert "foreign" in hub.users
    assert not [asked for asked in hub.requests if "foreign" in asked.raw_path or asked.operation == "unknown"]


async def test_old_launches_are_removed_once_nothing_is_left_at_the_hub(hub: FakeHub, core: Launching) -> None:
    standing, cancelled, left_over = [await core.launch(ANYBODY, REQUEST) for _ in range(3)]
    await core.cancel(cancelled)
    await hub.stop_server(left_over.attempt.username, "", remove=False)
    await check(core)

    removed = await core.store.history.remove_old(older_than_s=-60, limit=99)

    assert removed == 1
    assert (await core.service.get(standing.id)).status is Status.READY
    assert (await core.service.get(left_over.id)).status is Status.STOPPED
    with pytest.raises(LaunchNotFound):
        await core.service.get(cancelled.id)


async def test_young_launches_are_kept_and_old_ones_removed_in_small_batches(core: Launching) -> None:
    for _ in range(3):
        launch = await core.launch(ANYBODY, REQUEST)
        await core.cancel(launch)

    assert await core.store.history.remove_old(older_than_s=60, limit=99) == 0
    assert [await core.store.history.remove_old(older_than_s=-60, limit=2) for _ in range(3)] == [2, 1, 0]


async def test_an_id_older_than_retention_is_reported_as_expired(open_core: OpenCore) -> None:
    from ulid import ULID

    long_ago = str(ULID.from_datetime(datetime.now(UTC) - timedelta(days=2)))
    async with open_core(retention_s=86400) as core:
        with pytest.raises(LaunchGone):
            await core.service.get(long_ago)
        with pytest.raises(LaunchNotFound):
            await core.service.get(str(ULID()))
