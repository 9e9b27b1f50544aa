"""HubClient with refusals and wrong answers of the Hub."""

import math
from typing import Any

import pytest

from hublaunch.hub.address import HubPace
from hublaunch.hub.client import HubClient
from hublaunch.hub.connect import connect_hub
from hublaunch.launch.errors import (
    HubBusy,
    HubForbidden,
    HubRefused,
    HubUnavailable,
    NotStarting,
    NotTheHub,
    ServerExists,
    TokenRefused,
)
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub, SpawnPlan

FORBIDDEN: dict[str, Any] = {"status": 403, "message": "Action is not authorized with current scopes"}


@pytest.mark.parametrize("body", ["html", "half", "empty", b"[]", b"{}", b'{"version": null}'])
async def test_an_answer_that_is_not_jupyterhubs_is_an_error(hub: FakeHub, client: HubClient, body: Any) -> None:
    hub.fail_on("get_version", status=200, body=body)

    with pytest.raises(HubUnavailable, match="not what JupyterHub would answer"):
        await client.info()


# --- users ------------------------------------------------------------------------------------------------------------


async def test_a_refused_name_is_not_reported_as_taken(hub: FakeHub, client: HubClient) -> None:
    hub.fail_on("create_user", status=400, message="Failed to create user: alice")

    with pytest.raises(HubRefused, match="Failed to create user") as refusal:
        await client.create_user("alice")

    assert type(refusal.value) is HubRefused


async def test_a_hub_that_stays_busy_raises_hub_busy(hub: FakeHub, settings: Settings) -> None:
    hub.fail_on("create_user", status=429, headers={"Retry-After": "0"}, times=math.inf)

    async with connect_hub(settings, pace=HubPace(retry_after_s=(0.01, 1))) as client:
        with pytest.raises(HubBusy):
            await client.create_user("alice")

    assert len(hub.asked("create_user")) == 4


async def test_a_user_with_a_starting_or_stopping_server_is_not_deleted_yet(hub: FakeHub, client: HubClient) -> None:
    hub.create_user("alice")
    hub.spawn_plan("alice", SpawnPlan(never=True))
    await hub.start_server("alice", "", {})
    while_starting = await client.delete_user("alice")
    hub.release("alice")
    hub.stop_s, hub.slow_stop_timeout = math.inf, 0
    await client.stop_server("alice", "")

    while_stopping = await client.delete_user("alice")

    assert (while_starting, while_stopping) == (False, False)
    hub.release("alice")
    assert await client.delete_user("alice")
    assert await client.delete_user("alice"), "a missing user counts as deleted"


@pytest.mark.parametrize("operation", ["delete_user", "stop_server", "list_tokens", "get_user"])
async def test_a_forbidden_request_never_counts_as_done(hub: FakeHub, client: HubClient, operation: Any) -> None:
    hub.fail_on(operation, **FORBIDDEN)
    calls: dict[str, Any] = {
        "delete_user": lambda: client.delete_user("alice"),
        "stop_server": lambda: client.stop_server("alice", ""),
        "list_tokens": lambda: client.revoke_tokens("alice", note="note"),
        "get_user": lambda: client.get_user("alice"),
    }

    with pytest.raises(HubForbidden, match="not authorized"):
        await calls[operation]()


# --- servers ----------------------------------------------------------------------------------------------------------


async def test_a_server_that_was_already_running_is_not_ours(hub: FakeHub, client: HubClient) -> None:
    hub.create_user("alice")
    await hub.start_server("alice", "", {})
    await hub.until(lambda: hub.count("server_ready"))

    with pytest.raises(ServerExists):
        await client.start_server("alice", "", {})


async def test_a_server_of_a_missing_user_cannot_be_started(hub: FakeHub, client: HubClient) -> None:
    hub.fail_on("start_server", how="reset")

    with pytest.raises(HubRefused) as refusal:
        await client.start_server("nobody", "", {})

    assert refusal.value.status == 404
    assert [request.operation for request in hub.requests] == ["start_server", "get_user", "start_server"]


async def test_an_empty_progress_stream_does_not_prove_a_spawn(hub: FakeHub, client: HubClient) -> None:
    hub.create_user("alice")
    hub.spawn_plan("alice", SpawnPlan(fails="boom"))
    hub.fail_on("start_server", how="reset", act=True)
    hub.cut_progress("alice", after_events=0, how="end")

    await client.start_server("alice", "", {})

    assert hub.count("spawn_started") == 2


async def test_forbidden_progress_differs_from_progress_that_has_not_begun(hub: FakeHub, client: HubClient) -> None:
    hub.fail_on("progress", **FORBIDDEN)

    with pytest.raises(HubForbidden) as refusal:
        _ = [event async for event in client.progress("alice", "")]

    assert not isinstance(refusal.value, NotStarting)


@pytest.mark.parametrize("end", ["ready", "failed"])
async def test_nothing_is_read_after_the_end_of_a_spawn(hub: FakeHub, client: HubClient, end: str) -> None:
    stream = f'data: {{"{end}": true}}\n\ndata: no JSON\n\n'
    hub.fail_on("progress", status=200, body=stream.encode())

    events = [event async for event in client.progress("alice", "")]

    assert [(event.ready, event.failed) for event in events] == [(end == "ready", end == "failed")]


@pytest.mark.parametrize("how", ["drop", "reset"])
async def test_a_broken_stream_yields_the_events_before_the_break(hub: FakeHub, client: HubClient, how: Any) -> None:
    hub.create_user("alice")
    hub.spawn_plan("alice", SpawnPlan(never=True))
    hub.cut_progress("alice", after_events=1, how=how)
    await client.start_server("alice", "", {})
    events = client.progress("alice", "")

    assert (await anext(events)).message == "Server requested"
    with pytest.raises(HubUnavailable, match="the connection broke before the answer was complete"):
        await anext(events)


# --- tokens -----------------------------------------------------------------------------------------------------------


async def test_a_token_without_access_to_the_server_is_an_error(hub: FakeHub, client: HubClient) -> None:
    hub.create_user("alice")

    with pytest.raises(TokenRefused, match="would not open the server"):
        await client.mint_token("alice", scope="access:servers!server", note="note", expires_in_s=60)


async def test_a_token_whose_answer_was_lost_is_revoked_before_another_is_made(hub: FakeHub, client: HubClient) -> None:
    hub.create_user("alice")
    hub.fail_on("mint_token", how="reset", act=True)

    token = await client.mint_token("alice", scope="access:servers!server=alice/", note="note", expires_in_s=60)

    assert hub.count("token_minted", "alice") == 2
    assert [found.note for found in hub.tokens.of("alice")] == ["note"]
    assert hub.tokens.find(token.token) is not None


async def test_tokens_with_another_note_are_left_alone(hub: FakeHub, client: HubClient) -> None:
    hub.create_user("alice")
    scope = "access:servers!server=alice/"
    for note in ("mine", "theirs"):
        await client.mint_token("alice", scope=scope, note=note, expires_in_s=60)

    await client.revoke_tokens("alice", note="mine")

    assert [found.note for found in hub.tokens.of("alice")] == ["theirs"]


async def test_revoking_tokens_of_a_missing_user_does_nothing(client: HubClient, hub: FakeHub) -> None:
    await client.revoke_tokens("nobody", note="note")

    assert [request.status for request in hub.asked("list_tokens")] == [404]


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("0", 1),
        ("0000000", 1),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 1),
        ("1", 1),
        ("50", 50),
        ("86400", 300),
        ("9" * 400, 300),
        ("9" * 9000, 300),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 300),
        ("Mon, 01 Jan 100000000000000000000 00:00:00 GMT", None),
        ("-1", None),
        ("1e9", None),
        ("nan", None),
        ("soon", None),
        ("", None),
    ],
)
async def test_a_retry_after_counts_as_one_second_to_five_minutes(
    hub: FakeHub, client: HubClient, retry_after: str, seconds: float | None
) -> None:
    hub.create_user("ada")
    hub.fail_on("start_server", status=429, headers={"Retry-After": retry_after})

    with pytest.raises(HubBusy) as busy:
        await client.start_server("ada", "", {})

    assert busy.value.retry_after_s == seconds


@pytest.mark.parametrize(
    ("status", "headers", "asked"),
    [
        (301, {"Location": "https://hub.example.org/"}, 1),
        (308, {"Location": "//["}, 1),
        (302, {"Location": "/login"}, 1),
        (404, {}, 1),
        (403, {}, 1),
        (408, {}, 4),
        (502, {}, 4),
        (503, {}, 4),
    ],
)
async def test_only_transient_answers_of_another_web_server_are_retried(
    hub: FakeHub, client: HubClient, status: int, headers: dict[str, str], asked: int
) -> None:
    hub.fail_on("get_user", status=status, body="html", headers=headers, times=math.inf)

    with pytest.raises(HubUnavailable, match=f"not JupyterHub answered {status}") as raised:
        await client.get_user("alice")

    assert len(hub.asked("get_user")) == asked
    assert isinstance(raised.value, NotTheHub) is (asked == 1)
