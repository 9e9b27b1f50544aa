"""QuotaReclaim: launches whose servers are gone free a quota when it is needed, with few requests to the Hub."""

import asyncio
from dataclasses import replace

import pytest

from hublaunch.launch.caller import Caller
from hublaunch.launch.errors import HubUnavailable, QuotaReached
from hublaunch.launch.model import Launch, LaunchRequest, Status
from hublaunch.launch.ports import LaunchFilter
from hublaunch.launch.rules.quota import Scope
from hublaunch.launch.rules.quota_rules import QuotaRules, Rule
from hublaunch.store.sql import SqlLaunchStore
from tests.fakes.hub import FakeHub
from tests.support.launching import Launching, OpenCore

KEY = Caller(kind="key", key="ci", max_active=3)
ANYBODY = Caller(kind="anonymous", key="192.0.2.7")
OTHERS = Caller(kind="anonymous", key="192.0.2.8")
REQUEST = LaunchRequest(image="quay.io/org/gpu:1", repo_url="https://example.org/a/b")
WIDE = {
    "total": QuotaRules(total=3),
    "repository": QuotaRules(rules=((Scope.REPOSITORY, Rule(pattern="*", most=3)),)),
    "image": QuotaRules(rules=((Scope.IMAGE, Rule(pattern="quay.io/*", most=3, together=True)),)),
}


async def three_ready(core: Launching, caller: Caller) -> list[Launch]:
    return [await core.launch(caller, REQUEST) for _ in range(3)]


async def stop(hub: FakeHub, *launches: Launch) -> None:
    for launch in launches:
        await hub.stop_server(launch.attempt.username, "", remove=False)


async def many(core: Launching, caller: Caller, number: int) -> list[Launch | BaseException]:
    return await asyncio.gather(*(core.service.start(REQUEST, caller) for _ in range(number)), return_exceptions=True)


@pytest.mark.parametrize("gone", [1, 2, 3])
async def test_concurrent_requests_are_accepted_up_to_the_quota(hub: FakeHub, core: Launching, gone: int) -> None:
    """Two requests that found the same stopped server used to free only one place."""
    launches = await three_ready(core, KEY)
    await stop(hub, *launches[:gone])

    outcomes = await many(core, KEY, 8)

    assert sum(isinstance(outcome, Launch) for outcome in outcomes) == gone
    assert sum(isinstance(outcome, QuotaReached) for outcome in outcomes) == 8 - gone


@pytest.mark.parametrize("limits", WIDE.values(), ids=WIDE)
async def test_servers_of_other_callers_that_are_gone_free_a_shared_quota_too(
    hub: FakeHub, open_core: OpenCore, limits: QuotaRules
) -> None:
    async with open_core(limits=limits) as core:
        launches = await three_ready(core, OTHERS)
        await stop(hub, *launches[:2])

        outcomes = await many(core, ANYBODY, 8)

        assert sum(isinstance(outcome, Launch) for outcome in outcomes) == 2
        assert [(await core.service.get(launch.id)).status for launch in launches] == [
            *(Status.STOPPED, Status.STOPPED),
            Status.READY,
        ]


async def test_however_many_requests_are_refused_the_hub_is_asked_about_each_server_only_a_few_times(
    hub: FakeHub, core: Launching
) -> None:
    await three_ready(core, KEY)
    before = len(hub.asked("get_user"))

    outcomes = await many(core, KEY, 30)

    assert all(isinstance(outcome, QuotaReached) for outcome in outcomes)
    assert len(hub.asked("get_user")) - before <= 2 * 3


async def test_servers_of_other_callers_are_checked_once_in_a_while(hub: FakeHub, open_core: OpenCore) -> None:
    async with open_core(limits=WIDE["total"]) as core:
        await three_ready(core, OTHERS)
        before = len(hub.asked("get_user"))

        for _ in range(5):
            with pytest.raises(QuotaReached):
                await core.service.start(REQUEST, ANYBODY)

        assert len(hub.asked("get_user")) - before == 3


async def test_a_callers_own_servers_are_checked_each_time(hub: FakeHub, core: Launching) -> None:
    launches = await three_ready(core, KEY)
    with pytest.raises(QuotaReached):
        await core.service.start(REQUEST, KEY)
    await stop(hub, launches[2])

    await core.service.start(REQUEST, KEY)


async def test_without_the_hub_a_shared_quota_refuses_and_a_callers_own_raises_the_hubs_error(
    hub: FakeHub, open_core: OpenCore, store: SqlLaunchStore
) -> None:
    async with open_core(limits=WIDE["total"]) as core:
        await three_ready(core, replace(KEY, max_active=None))
        hub.fail_on("get_user", status=503, body="html", times=99)

        with pytest.raises(QuotaReached):
            await core.service.start(REQUEST, ANYBODY)
        outcomes = await many(core, KEY, 5)

        assert all(isinstance(outcome, HubUnavailable) for outcome in outcomes)
        assert len(await store.log.launches(LaunchFilter(), limit=9)) == 3


async def test_a_cancelled_request_leaves_the_search_to_the_next_one(hub: FakeHub, core: Launching) -> None:
    launches = await three_ready(core, KEY)
    await stop(hub, launches[0])
    before = len(hub.asked("get_user"))
    hub.fail_on("get_user", how="hang", hangs_s=5, times=2)
    first, second, third = [asyncio.create_task(core.service.start(REQUEST, KEY)) for _ in range(3)]
    await hub.until(lambda: len(hub.asked("get_user")) == before + 1)

    first.cancel()
    await hub.until(lambda: len(hub.asked("get_user")) == before + 2)
    second.cancel()

    assert (await third).status is Status.WAITING


async def test_what_another_process_has_freed_is_used_without_another_search(hub: FakeHub, core: Launching) -> None:
    launches = await three_ready(core, KEY)
    before = len(hub.asked("get_user"))
    freed = asyncio.Event()
    hub.fail_on("get_user", how="hang", until=freed)
    asking = asyncio.create_task(core.service.start(REQUEST, KEY))
    await hub.until(lambda: len(hub.asked("get_user")) > before)

    await core.reaper.mark_gone(launches[2])
    freed.set()

    assert (await asking).status is Status.WAITING
