"""The lease: what a process still does once it may have lost its launches."""

import asyncio

import pytest

from hublaunch.hub.connect import connect_hub
from hublaunch.launch.caller import Caller
from hublaunch.launch.course.lease_clock import LeaseClock
from hublaunch.launch.model import LaunchRequest, Status
from hublaunch.launch.ports import LeaseLost
from hublaunch.settings import Settings
from hublaunch.store.sql import SqlLaunchStore
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.clock import Clock
from tests.support.launching import Launching, launching

ANYBODY = Caller(kind="anonymous", key="192.0.2.7")
REQUEST = LaunchRequest(image="a/b", repo_url="https://example.org/a/b")


class Lapse:
    """A lease clock that has run out while `over` is set."""

    def __init__(self) -> None:
        self.over = False

    def check(self) -> None:
        if self.over:
            raise LeaseLost("frozen for too long")


def test_a_lease_is_invalid_before_its_first_renewal_and_after_it_runs_out() -> None:
    now = Clock(1000.0)
    clock = LeaseClock(15, now=now)
    with pytest.raises(LeaseLost):
        clock.check()

    clock.renewed(999.0)
    clock.check()
    now.now = 1014.1
    with pytest.raises(LeaseLost):
        clock.check()


async def test_neither_calls_nor_retries_change_the_hub_after_the_lease(hub: FakeHub, settings: Settings) -> None:
    lapse = Lapse()
    async with connect_hub(settings, check_lease=lapse.check) as client:
        hub.fail_on("create_user", status=502, body="html")
        hub.fail_on("get_user", how="hang")
        creating = asyncio.create_task(client.create_user("ada"))
        await hub.until(lambda: hub.asked("get_user"))
        lapse.over = True
        await hub.restart()
        with pytest.raises(LeaseLost):
            await creating

        for change in (
            client.delete_user("ada"),
            client.start_server("ada", "", {}),
            client.stop_server("ada", ""),
            client.mint_token("ada", scope="s", note="n", expires_in_s=1),
        ):
            with pytest.raises(LeaseLost):
                await change

    assert {asked.method for asked in hub.requests[1:]} == {"GET"}


async def test_a_dropped_launch_continues_once_the_lease_is_renewed(
    hub: FakeHub, settings: Settings, store: SqlLaunchStore
) -> None:
    lapse = Lapse()
    async with connect_hub(settings, check_lease=lapse.check) as client, launching(hub, client, store) as core:
        hub.spawn_plan(None, SpawnPlan(never=True))
        lapse.over = True
        launch = await core.service.start(REQUEST, ANYBODY)
        await core.idle()
        lapse.over = False

        core.leases.wake()
        await hub.until(lambda: hub.active_servers)
        hub.release(next(user for user, _ in hub.active_servers))
        await core.idle()

        assert (await core.service.get(launch.id)).status is Status.READY
        assert len(hub.users) == 1


async def test_a_forbidden_clean_up_is_retried(hub: FakeHub, core: Launching, caplog: pytest.LogCaptureFixture) -> None:
    launch = await core.launch(ANYBODY, REQUEST)
    hub.scopes.remove("servers")
    assert not await core.service.cancel(launch.id)
    await hub.until(lambda: hub.asked("stop_server"))
    await core.idle()
    hub.scopes.append("servers")

    core.leases.wake()
    await hub.until(lambda: not hub.users)
    await core.idle()

    assert (await core.service.get(launch.id)).status is Status.STOPPED
    assert "cannot be cleaned up yet" in caplog.text
    assert "Traceback" not in caplog.text
