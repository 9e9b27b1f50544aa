"""A real JupyterHub, hublaunch or both are killed. Launches end ready or failed, and the Hub is left clean."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from hublaunch.demo.proxy import proxy_command, proxy_directory
from tests.hubs.mortal import HELD, MortalHub
from tests.hubs.quick_server import GATED_AFTER_START_IMAGE, GATED_BEFORE_PROCESS_IMAGE, GATED_IMAGE
from tests.support.processes import Replica, events, launch, replica
from tests.support.served import BODY, read_events

pytestmark = [pytest.mark.real_hub, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub_of_all(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[MortalHub]:
    state = tmp_path_factory.mktemp("hub")
    command = await asyncio.to_thread(proxy_command, proxy_directory(state))
    async with MortalHub(state=state, proxy_command=command) as hub:
        yield hub


@pytest_asyncio.fixture(loop_scope="module")
async def hub(hub_of_all: MortalHub) -> AsyncGenerator[MortalHub]:
    """Return a running Hub without users, whatever the test before has left."""
    await hub_of_all.reset_unless_clean()
    yield hub_of_all


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/hublaunch.sqlite"


def beside(hub: MortalHub, database_url: str, **variables: str) -> AbstractAsyncContextManager[Replica]:
    return replica(hub, database_url, LAUNCHER_HUB_URL_LOCAL=hub.local_url, **variables)


async def until_held(at: Replica, accepted: dict[str, Any]) -> None:
    """Return once the server of a launch waits at its gate."""
    async with asyncio.timeout(30), at.http.stream("GET", accepted["events_url"]) as stream:
        async for event in read_events(stream):
            if event["message"] == HELD:
                return
    raise AssertionError("the launch has ended")


async def held(at: Replica, image: str) -> dict[str, Any]:
    """Launch, and return the launch once its server waits at its gate."""
    accepted = await launch(at, BODY | {"image": image})
    await until_held(at, accepted)
    return accepted


async def shown(at: Replica, accepted: dict[str, Any]) -> dict[str, Any]:
    answer = await at.http.get(f"/launch/{accepted['id']}", headers=secret(accepted))
    told: dict[str, Any] = answer.raise_for_status().json()
    return told


async def successor(at: Replica, accepted: dict[str, Any]) -> str:
    """Return the user of the launch's second attempt."""
    async with asyncio.timeout(30), at.http.stream("GET", accepted["events_url"]) as stream:
        async for event in read_events(stream):
            if event["attempt"] == 2:
                return str((await shown(at, accepted))["username"])
    raise AssertionError("there was no second attempt")


async def ended(at: Replica, accepted: dict[str, Any]) -> dict[str, Any]:
    """Return the last event of a launch, whose log must have no gap and only one end."""
    async with asyncio.timeout(40):
        told = await events(at, accepted)
    assert [event["seq"] for event in told] == list(range(1, len(told) + 1))
    assert [event["phase"] in ("ready", "failed", "cancelled") for event in told].index(True) == len(told) - 1
    return told[-1]


async def ready(at: Replica, *accepted: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the last events of launches, which must be ready with tokens that open their servers."""
    lasts = await asyncio.gather(*(ended(at, each) for each in accepted))
    assert [last["phase"] for last in lasts] == ["ready"] * len(accepted), lasts
    for last in lasts:
        await assert_opens(last)
    return lasts


async def assert_opens(last: dict[str, Any]) -> None:
    """Check that the server accepts the token in the URL and in the header, and no other token."""
    async with httpx.AsyncClient(trust_env=False, timeout=10) as visitor:
        by_address = await visitor.get(last["open_url"])
        by_header = await visitor.get(f"{last['url']}api", headers={"Authorization": f"token {last['token']}"})
        by_another = await visitor.get(f"{last['url']}api", headers={"Authorization": "token of-somebody-else"})
    assert f"token={last['token']}" in last["open_url"]
    assert [answer.status_code for answer in (by_address, by_header, by_another)] == [200, 200, 403]


async def ask_to_cancel(at: Replica, accepted: dict[str, Any]) -> int:
    return (await at.http.delete(f"/launch/{accepted['id']}", headers=secret(accepted))).status_code


async def cancel(at: Replica, *accepted: dict[str, Any]) -> None:
    """Repeat the requests to cancel until the Hub has confirmed them."""

    async def until_confirmed(each: dict[str, Any]) -> None:
        while (status := await ask_to_cancel(at, each)) != 204:
            assert status == 202
            await asyncio.sleep(0.1)  # there is no event for the stop of a ready launch

    async with asyncio.timeout(30):
        await asyncio.gather(*map(until_confirmed, accepted))


def secret(accepted: dict[str, Any]) -> dict[str, str]:
    return {"X-Launch-Secret": accepted["secret"]}


async def assert_the_hub_has_just(hub: MortalHub, at: Replica, *accepted: dict[str, Any]) -> None:
    """Check that the Hub has one user and one server for each of these launches, and no others."""
    names = {(await shown(at, each))["username"] for each in accepted}
    users = await hub.users()
    assert set(users) == names
    assert all(user[""]["ready"] for user in users.values())
    assert len(hub.server_processes()) == len(accepted)


async def assert_left_clean(hub: MortalHub) -> None:
    assert await hub.users() == {}
    async with asyncio.timeout(10):
        await hub.until_servers(0)


# --- hublaunch is killed ----------------------------------------------------------------------------------------------


async def test_after_a_kill_hublaunch_continues_all_its_launches(hub: MortalHub, database_url: str) -> None:
    async with beside(hub, database_url) as one:
        starting, ready_meanwhile = await asyncio.gather(*(held(one, GATED_IMAGE) for _ in range(2)))
        before = set(hub.server_processes())
        just_accepted = await launch(one)
        await one.kill()
    hub.open_gate(ready_meanwhile["username"])
    await hub.until_ready(ready_meanwhile["username"])

    async with beside(hub, database_url) as again:
        hub.open_gate(starting["username"])
        lasts = await ready(again, starting, ready_meanwhile, just_accepted)

        assert [last["attempt"] for last in lasts[:2]] == [1, 1]
        assert before < set(hub.server_processes())
        await assert_the_hub_has_just(hub, again, starting, ready_meanwhile, just_accepted)
        await cancel(again, starting, ready_meanwhile, just_accepted)
    await assert_left_clean(hub)


async def test_a_user_created_for_a_killed_hublaunch_is_deleted(hub: MortalHub, database_url: str) -> None:
    async with beside(hub, database_url) as one:
        async with asyncio.timeout(30):  # so that the first check of the Hub is over before the Hub is frozen
            while (await one.http.get("/readyz")).json()["hub"]["version"] is None:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)
        hub.freeze()
        accepted = await launch(one)
        async with asyncio.timeout(30):
            await hub.until_asked()
        await one.kill()
    hub.thaw()
    async with asyncio.timeout(30):
        left = await hub.until_users(1)

    async with beside(hub, database_url) as again:
        (last,) = await ready(again, accepted)

        assert last["attempt"] == 2
        assert not left & set(await hub.users())
        await assert_the_hub_has_just(hub, again, accepted)
        await cancel(again, accepted)
    await assert_left_clean(hub)


# --- the Hub is killed ------------------------------------------------------------------------------------------------


async def test_after_a_kill_of_the_hub_forgotten_spawns_are_retried_and_the_others_continue(
    hub: MortalHub, database_url: str
) -> None:
    async with beside(hub, database_url) as one:
        images = (GATED_IMAGE, GATED_AFTER_START_IMAGE, GATED_BEFORE_PROCESS_IMAGE)
        in_start, after_start, forgotten = await asyncio.gather(*(held(one, image) for image in images))
        before = set(hub.server_processes())

        await hub.kill()
        await hub.start_again()
        for accepted in (in_start, after_start):
            hub.open_gate(accepted["username"])
        hub.open_gate(await successor(one, forgotten))
        lasts = await ready(one, in_start, after_start, forgotten)

        assert [last["attempt"] for last in lasts] == [1, 1, 2]
        assert before < set(hub.server_processes())
        await assert_the_hub_has_just(hub, one, in_start, after_start, forgotten)
        await cancel(one, in_start, after_start, forgotten)
    await assert_left_clean(hub)


async def test_a_cancellation_requested_while_the_hub_is_down_is_carried_out_when_it_is_back(
    hub: MortalHub, database_url: str
) -> None:
    async with beside(hub, database_url) as one:
        accepted = await launch(one)
        (last,) = await ready(one, accepted)
        await hub.kill()

        asked = [await ask_to_cancel(one, accepted) for _ in range(2)]
        still_there = len(hub.server_processes())
        async with httpx.AsyncClient(trust_env=False, timeout=10) as visitor:
            still_answers = await visitor.get(last["url"])
        await hub.start_again()
        await cancel(one, accepted)

        assert asked == [202, 202]
        assert (still_there, still_answers.status_code) == (1, 200)
        assert (await shown(one, accepted))["status"] == "stopped"
    await assert_left_clean(hub)


async def test_the_next_hublaunch_cleans_up_a_launch_that_failed_while_the_hub_was_down(
    hub: MortalHub, database_url: str
) -> None:
    async with beside(hub, database_url, LAUNCHER_LAUNCH_TIMEOUT="5") as one:
        accepted = await held(one, GATED_IMAGE)
        await hub.kill()
        last = await ended(one, accepted)
        await one.kill()
    assert last["phase"] == "failed"
    assert last["problem"]["code"] == "launch_timeout"

    async with beside(hub, database_url):
        await hub.start_again()
        hub.open_gate(accepted["username"])  # the Hub stops no server before it knows whether the server runs

        async with asyncio.timeout(20):
            await hub.until_users(0)
    await assert_left_clean(hub)


# --- both are killed --------------------------------------------------------------------------------------------------


async def test_after_a_kill_of_both_launches_become_ready_and_a_cancellation_is_carried_out(
    hub: MortalHub, database_url: str
) -> None:
    async with beside(hub, database_url) as one:
        images = (GATED_IMAGE, GATED_BEFORE_PROCESS_IMAGE, GATED_IMAGE)
        starting, forgotten, unwanted = await asyncio.gather(*(held(one, image) for image in images))
        hub.freeze()
        assert await ask_to_cancel(one, unwanted) == 202
        await asyncio.gather(hub.kill(), one.kill())

    async with beside(hub, database_url) as again:
        await hub.start_again()
        for accepted in (starting, unwanted):
            hub.open_gate(accepted["username"])  # the Hub stops no server before it knows whether the server runs
        hub.open_gate(await successor(again, forgotten))
        lasts = await ready(again, starting, forgotten)

        assert [last["attempt"] for last in lasts] == [1, 2]
        assert (await ended(again, unwanted))["phase"] == "cancelled"
        await assert_the_hub_has_just(hub, again, starting, forgotten)
        await cancel(again, starting, forgotten)
    await assert_left_clean(hub)
