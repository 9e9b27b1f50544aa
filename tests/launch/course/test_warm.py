"""Warm servers: members of a pool, launches that claim one, and everything that may go wrong in between."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select

from hublaunch.launch.caller import Caller
from hublaunch.launch.model import Launch, LaunchRequest, Status
from hublaunch.store.sql import SqlLaunchStore
from hublaunch.store.tables import launches
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.fakes.hub_faults import Operation
from tests.support.launching import Launching, OpenCore
from tests.support.pace import QUICK
from tests.support.warm import pool_of, refill, until_ready, warm_catalogue, write_warm

ANYBODY = Caller(kind="anonymous", key="192.0.2.7")
REQUEST = LaunchRequest(image="", environment="scipy")
PACE = replace(QUICK, refill_s=0.05, claim_answers_s=0.05)
RARELY = replace(PACE, refill_s=60)


async def until(core: Launching, launch: Launch, status: Status) -> Launch:
    async with asyncio.timeout(10):
        while (current := await core.service.get(launch.id)).status is not status:
            pass
    return current


async def test_a_launch_gets_the_server_of_a_member_that_is_ready(
    hub: FakeHub, open_core: OpenCore, store: SqlLaunchStore, tmp_path: Path
) -> None:
    async with open_core(catalogue=warm_catalogue(tmp_path), pace=PACE) as core:
        await until_ready(store, 1)
        (user,) = hub.users
        assert hub.count("token_minted") == 0

        launch = await core.launch(ANYBODY, REQUEST)

        assert (launch.status, launch.attempt.username) == (Status.READY, user)
        assert launch.claimed_from is not None
        events = await store.log.events(launch.id, after=0)
        assert [(event.phase, event.message) for event in events] == [
            (Status.WAITING, "Accepted"),
            (Status.LAUNCHING, "A warm server was waiting"),
            (Status.READY, "The server is ready"),
        ]
        assert hub.count("token_minted", user) == 1
        member = await core.service.get(launch.claimed_from)
        assert (member.status, member.stopped_by) == (Status.STOPPED, "claim")


async def test_a_claimed_member_is_replaced(open_core: OpenCore, store: SqlLaunchStore, tmp_path: Path) -> None:
    async with open_core(catalogue=warm_catalogue(tmp_path), pace=PACE) as core:
        await until_ready(store, 1)
        first = await core.launch(ANYBODY, REQUEST)
        await until_ready(store, 1)

        second = await core.launch(ANYBODY, REQUEST)

        assert first.attempt.username != second.attempt.username
        assert None not in (first.claimed_from, second.claimed_from)
        assert (await pool_of(store)).hits == 2


async def test_the_session_begins_with_the_claim(open_core: OpenCore, store: SqlLaunchStore, tmp_path: Path) -> None:
    async with open_core(catalogue=warm_catalogue(tmp_path), pace=PACE, session_s=600) as core:
        await until_ready(store, 1)

        launch = await core.launch(ANYBODY, REQUEST)

        assert launch.claimed_from is not None
        member = await core.service.get(launch.claimed_from)
        assert member.will_end_at is None
        assert launch.will_end_at is not None
        assert launch.ended_at is not None
        assert (launch.will_end_at - launch.ended_at).total_seconds() == 600


@pytest.mark.parametrize("state", ["stopped", "silent", "stopping", "deleted"])
async def test_a_member_that_cannot_be_entered_is_cleaned_up_and_the_next_one_is_claimed(
    hub: FakeHub, open_core: OpenCore, store: SqlLaunchStore, tmp_path: Path, state: str
) -> None:
    async with open_core(catalogue=warm_catalogue(tmp_path, "{keep: 2}"), pace=RARELY) as core:
        await until_ready(store, 2)
        oldest, _ = sorted(await store.pools.to_check(every_s=0, limit=2), key=lambda member: member.id)
        user, server = oldest.attempt.username, hub.users[oldest.attempt.username].servers[""]
        if state == "silent":
            server.answers = False
        elif state == "stopping":
            hub.stop_s, hub.slow_stop_timeout = math.inf, 0
            await hub.stop_server(user, "", remove=False)
        else:
            await hub.stop_server(user, "", remove=False)
        if state == "deleted":
            await hub.delete_user(user)

        launch = await core.service.start(REQUEST, ANYBODY)
        ready = await until(core, launch, Status.READY)
        hub.stop_s = 0
        if state == "stopping":
            hub.stopped(server)
        await core.idle()
        async with asyncio.timeout(10):
            await hub.until(lambda: user not in hub.users)

        assert (ready.attempt.number, ready.claimed_from is not None) == (2, True)
        assert (await store.log.events(launch.id, after=0))[2].message == (
            "The warm server did not answer. Another one was waiting"
        )
        assert hub.count("spawn_started", ready.attempt.username) == 1
        assert ready.attempt.username in hub.users
        assert core.admission._waiting == {}, "nothing in the queue, so the database is left alone"


async def test_a_launch_whose_warm_servers_are_all_gone_gets_a_new_server(
    hub: FakeHub, open_core: OpenCore, store: SqlLaunchStore, tmp_path: Path
) -> None:
    async with open_core(catalogue=warm_catalogue(tmp_path, "{keep: 4}"), pace=RARELY) as core:
        await until_ready(store, 4)
        for user in list(hub.users):
            await hub.stop_server(user, "", remove=False)

        launch = await core.launch(ANYBODY, REQUEST)

        assert (launch.status, launch.attempt.number) == (Status.READY, 4)
        assert (launch.claimed_from, launch.pool_miss) == (None, "unanswered")
        assert hub.count("spawn_started", launch.attempt.username) == 1


async def test_a_hub_that_is_down_costs_no_member(
    hub: FakeHub, open_core: OpenCore, store: SqlLaunchStore, tmp_path: Path
) -> None:
    async with open_core(catalogue=warm_catalogue(tmp_path, "{keep: 2}"), pace=RARELY) as core:
        await until_ready(store, 2)
        await hub.kill()

        launch = await core.service.start(REQUEST, ANYBODY)
        await asyncio.sleep(0.3)  # time for requests that must change nothing
        await hub.start_again()
        ready = await until(core, launch, Status.READY)

        assert (ready.attempt.number, ready.claimed_from is not None) == (1, True)


async def test_a_launch_whose_time_is_over_before_the_hub_answers_fails_and_costs_no_other_member(
    hub: FakeHub, open_core: OpenCore, store: SqlLaunchStore, tmp_path: Path
) -> None:
    async with open_core(
        catalogue=warm_catalogue(tmp_path, "{keep: 2}"), pace=RARELY, launch_timeout_s=1, max_wait_s=60
    ) as core:
        await until_ready(store, 2)
        users = set(hub.users)
        await hub.kill()

        launch = await core.service.start(REQUEST, ANYBODY)
        failed = await until(core, launch, Status.FAILED)
        await hub.start_again()
        await core.idle()

        assert failed.last_event.problem is not None
        assert (failed.last_event.problem.code, failed.attempt.number) == ("launch_timeout", 1)
        assert (await pool_of(store)).ready == 1
        assert set(hub.users) == users - {failed.attempt.username}


@pytest.mark.parametrize("operation", ["mint_token", "get_user", "reach_server"])
@pytest.mark.parametrize("act", [True, False])
async def test_a_claim_continues_after_its_process_ends_at_any_step(
    hub: FakeHub, open_core: OpenCore, store: SqlLaunchStore, tmp_path: Path, operation: Operation, act: bool
) -> None:
    catalogue = warm_catalogue(tmp_path)
    async with open_core(catalogue=catalogue, pace=RARELY) as core:
        await until_ready(store, 1)
        (user,) = hub.users
        asked = len(hub.asked(operation))
        hub.fail_on(operation, how="hang", act=act)
        launch = await core.service.start(REQUEST, ANYBODY)
        await hub.until(lambda: len(hub.asked(operation)) > asked)

    async with open_core(catalogue=catalogue, pace=RARELY) as core:
        ready = await until(core, launch, Status.READY)

        assert (ready.attempt.username, ready.attempt.number) == (user, 1)
        assert ready.last_event.sealed_token is not None
        assert [token.note for token in hub.tokens_of(user)].count(ready.attempt.token_note) == 1
        assert hub.count("spawn_started", user) == 1


async def test_a_claimed_server_is_deleted_with_its_user_if_the_launch_is_cancelled(
    hub: FakeHub, open_core: OpenCore, store: SqlLaunchStore, tmp_path: Path
) -> None:
    async with open_core(catalogue=warm_catalogue(tmp_path), pace=RARELY) as core:
        await until_ready(store, 1)
        (user,) = hub.users
        hub.fail_on("mint_token", how="hang")
        launch = await core.service.start(REQUEST, ANYBODY)
        await hub.until(lambda: hub.asked("mint_token"))

        await core.cancel(launch)

        assert (await core.service.get(launch.id)).status is Status.CANCELLED
        assert user not in hub.users


async def test_a_member_never_waits_in_the_queue(
    hub: FakeHub, open_core: OpenCore, store: SqlLaunchStore, tmp_path: Path
) -> None:
    hub.fail_on("start_server", status=429)
    async with open_core(catalogue=warm_catalogue(tmp_path), pace=RARELY, max_wait_s=60) as core:
        await hub.until(lambda: hub.asked("start_server"))
        await core.idle()

        state = await pool_of(store)
        assert (state.starting, state.failures) == (0, 1)
        assert not hub.users


@pytest.mark.parametrize("warm", ["{keep: 9}", "{keep: 0}"])
async def test_people_are_admitted_in_the_same_order_whatever_a_pool_lacks(
    hub: FakeHub, open_core: OpenCore, tmp_path: Path, warm: str
) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    pace = replace(PACE, refill_s=0.01)
    async with open_core(catalogue=warm_catalogue(tmp_path, warm), pace=pace, max_concurrent_spawns=2) as core:
        if warm == "{keep: 9}":
            await hub.until(lambda: hub.count("spawn_started") == 1)  # as many as may start at once

        for number in range(1, 7):
            request = LaunchRequest(image="", environment="other", repo_url=f"https://example.org/person/{number}")
            await core.service.start(request, ANYBODY)
            if number <= 2:
                await hub.until(partial(has_started, hub, number))
        for number in range(1, 5):
            hub.release(next(user for user in hub.users if user.startswith(f"person-{number}-")))
            await hub.until(partial(has_started, hub, number + 2))

        first_to_last_person = admissions(hub)[admissions(hub).index("1 starts") :][:10]
        assert first_to_last_person == [
            *("1 starts", "2 starts"),
            *("1 is ready", "3 starts", "2 is ready", "4 starts", "3 is ready", "5 starts", "4 is ready", "6 starts"),
        ]


def admissions(hub: FakeHub) -> Sequence[str]:
    """Return the starts and ends of spawns at the Hub in their order, with the number of the person or `member`."""
    words = {"spawn_started": "starts", "server_ready": "is ready"}
    return [
        f"{line.username.split('-')[1] if line.username.startswith('person-') else 'member'} {words[line.what]}"
        for line in hub.journal
        if line.what in words
    ]


def has_started(hub: FakeHub, number: int) -> bool:
    return f"{number} starts" in admissions(hub)


async def test_a_member_that_lost_its_server_is_noticed_and_cleaned_up(
    hub: FakeHub, open_core: OpenCore, store: SqlLaunchStore, tmp_path: Path
) -> None:
    pace = replace(RARELY, check_members_s=0.05)
    async with open_core(catalogue=warm_catalogue(tmp_path), pace=pace):
        await until_ready(store, 1)
        (user,) = hub.users

        await hub.stop_server(user, "", remove=False)
        await hub.until(lambda: user not in hub.users)

        state = await pool_of(store)
        assert (state.ready, state.lost) == (0, 1)


async def test_a_member_that_the_hub_cannot_be_asked_about_still_counts_as_unseen(
    hub: FakeHub, open_core: OpenCore, store: SqlLaunchStore, tmp_path: Path
) -> None:
    pace = replace(RARELY, check_members_s=0.05)
    async with open_core(catalogue=warm_catalogue(tmp_path), pace=pace):
        await until_ready(store, 1)
        hub.fail_on("get_user", status=500, times=math.inf)
        asked = len(hub.asked("get_user"))
        await hub.until(lambda: len(hub.asked("get_user")) > asked + 10)
        with store.database.reading.connect() as connection:
            seen_at = connection.execute(select(launches.c.looked_up_at)).scalar_one()
        assert seen_at is None


async def test_members_are_active_for_the_hub_until_they_are_claimed(
    hub: FakeHub, open_core: OpenCore, store: SqlLaunchStore, tmp_path: Path
) -> None:
    pace = replace(RARELY, check_members_s=0.05)
    async with open_core(catalogue=warm_catalogue(tmp_path), pace=pace) as core:
        await until_ready(store, 1)
        (user,) = hub.users
        await hub.until(lambda: hub.count("activity_noted", user) > 1)

        await core.launch(ANYBODY, REQUEST)

        to_report = await store.pools.to_check(every_s=0, limit=10)
        assert user not in [member.attempt.username for member in to_report]


async def test_a_pool_that_no_longer_keeps_anything_is_emptied(
    hub: FakeHub, open_core: OpenCore, store: SqlLaunchStore, tmp_path: Path
) -> None:
    catalogue = warm_catalogue(tmp_path)
    async with open_core(catalogue=catalogue, pace=PACE):
        await until_ready(store, 1)
        write_warm(tmp_path / "catalogue.yaml", "{keep: 0}")
        catalogue.check()

        await hub.until(lambda: not hub.users)


async def test_a_launch_that_a_member_cannot_serve_says_why(
    hub: FakeHub, open_core: OpenCore, store: SqlLaunchStore, tmp_path: Path
) -> None:
    async with open_core(catalogue=warm_catalogue(tmp_path), pace=RARELY) as core:
        await until_ready(store, 1)
        hub.create_user("ada")

        own = await core.launch(Caller(kind="hub", key="ada"), REQUEST)
        special = await core.launch(ANYBODY, replace(REQUEST, extra_args={"cpu": 4}))
        other = await core.launch(ANYBODY, LaunchRequest(image="", environment="other"))

        assert [launch.pool_miss for launch in (own, special, other)] == ["account", "options", None]
        assert [launch.status for launch in (own, special, other)] == [Status.READY] * 3
        assert (await pool_of(store)).ready == 1


async def test_the_repository_of_a_launch_is_fetched_into_its_warm_server(
    hub: FakeHub, open_core: OpenCore, store: SqlLaunchStore, tmp_path: Path
) -> None:
    hub.pages["git-pull"] = (404, {})
    async with open_core(catalogue=warm_catalogue(tmp_path), pace=RARELY) as core:
        await until_ready(store, 1)

        launch = await core.launch(ANYBODY, replace(REQUEST, repo_url="https://example.org/a/b"))

        assert launch.claimed_from is not None
        assert launch.last_event.content_fault is not None


async def test_a_member_whose_image_fails_is_not_tried_again_at_once(
    hub: FakeHub, open_core: OpenCore, store: SqlLaunchStore, tmp_path: Path
) -> None:
    hub.spawn_plan(None, SpawnPlan(fails="no such image"))
    async with open_core(catalogue=warm_catalogue(tmp_path), pace=PACE) as core:
        await hub.until(lambda: hub.count("spawn_failed"))
        await core.idle()

        state = await pool_of(store)
        assert (state.failures, state.starting) == (1, 0)
        assert state.retry_at is not None
        assert not (await refill(store, 1)).started
