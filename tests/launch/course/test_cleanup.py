"""The deletion of everything that an attempt may have created."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from hublaunch.hub.client import HubClient
from hublaunch.launch.course.cleanup import Traces, clean_up
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.attempted import ATTEMPT, EVERYTHING, REQUEST, Attempted
from tests.support.pace import QUICK


async def test_the_server_is_stopped_before_the_user_is_deleted(hub: FakeHub, client: HubClient) -> None:
    hub.spawn_plan("alice", SpawnPlan(never=True))
    hub.create_user("alice")
    await hub.start_server("alice", "", {})

    await clean_up(ATTEMPT, REQUEST, client, traces=EVERYTHING, pace=QUICK)

    assert [line.what for line in hub.journal][-3:] == ["spawn_cancelled", "server_stopped", "user_deleted"]
    assert [request.status for request in hub.asked("delete_user")] == [204]


async def test_clean_up_waits_for_a_server_that_stops_slowly(hub: FakeHub, client: HubClient) -> None:
    hub.create_user("alice")
    await hub.start_server("alice", "", {})
    await hub.until(lambda: hub.count("server_ready"))
    hub.stop_s, hub.slow_stop_timeout = 0.2, 0.01

    await clean_up(ATTEMPT, REQUEST, client, traces=EVERYTHING, pace=QUICK)

    assert hub.users == {}


async def test_named_servers_started_by_the_visitor_are_stopped_as_well(hub: FakeHub, client: HubClient) -> None:
    hub.create_user("alice")
    await hub.start_server("alice", "another", {})
    await hub.until(lambda: hub.count("server_ready"))

    await clean_up(ATTEMPT, REQUEST, client, traces=EVERYTHING, pace=QUICK)

    assert hub.users == {}


async def test_an_existing_account_loses_only_the_launchs_server_and_token(hub: FakeHub, client: HubClient) -> None:
    hub.create_user("alice")
    theirs = replace(ATTEMPT, creates_user=False, server_name="mine")
    attempted = Attempted(hub, client)
    await attempted.run(theirs)

    await clean_up(theirs, REQUEST, client, traces=EVERYTHING, pace=QUICK)

    assert set(hub.users["alice"].servers) == {""}
    assert hub.tokens.of("alice") == []


async def test_clean_up_without_a_token_needs_only_the_scope_servers(hub: FakeHub, client: HubClient) -> None:
    hub.create_user("alice")
    hub.scopes = ["servers"]
    theirs = replace(ATTEMPT, creates_user=False)
    await client.start_server("alice", "", {"image": REQUEST.image, "repo_url": REQUEST.repo_url})

    await clean_up(theirs, REQUEST, client, traces=Traces.unknown(mints_token=False))

    assert hub.active_servers == set()
    assert "alice" in hub.users


@pytest.mark.parametrize("operation", ["stop_server", "delete_user"])
async def test_clean_up_continues_through_connection_errors(hub: FakeHub, client: HubClient, operation: Any) -> None:
    hub.create_user("alice")
    hub.fail_on(operation, how="reset", times=5)

    await clean_up(ATTEMPT, REQUEST, client, traces=EVERYTHING, pace=QUICK)

    assert hub.users == {}


async def test_clean_up_waits_for_a_hub_before_5_1_to_finish_the_spawn(client: HubClient, hub: FakeHub) -> None:
    hub.version = "4.1.6"
    hub.create_user("alice")
    hub.spawn_plan("alice", SpawnPlan(never=True))
    await hub.start_server("alice", "", {})

    async with asyncio.TaskGroup() as group:
        group.create_task(clean_up(ATTEMPT, REQUEST, client, traces=EVERYTHING, pace=QUICK))
        await hub.until(lambda: len(hub.asked("stop_server")) > 1)
        hub.release("alice")

    assert hub.users == {}
