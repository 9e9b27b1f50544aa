"""The fake Hub's restarts, scripts and journal. `tests/contract` shows that it behaves like a Hub."""

from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from tests.fakes.hub import FakeHub, SpawnPlan
from tests.fakes.hub_faults import Cut, Fault, Operation


@pytest.fixture
async def api(hub: FakeHub) -> AsyncGenerator[httpx.AsyncClient]:
    headers = {"Authorization": f"token {hub.api_token}"}
    async with httpx.AsyncClient(
        base_url=f"{hub.api_url}/", headers=headers, trust_env=False, verify=False, timeout=5
    ) as client:
        yield client


async def start(api: httpx.AsyncClient, username: str = "alice", **options: Any) -> httpx.Response:
    await api.post(f"users/{username}")
    return await api.post(f"users/{username}/server", json=options)


async def test_ready_servers_and_tokens_survive_a_restart_and_a_server_under_check_can_be_stopped(
    hub: FakeHub, api: httpx.AsyncClient
) -> None:
    hub.spawn_plan("bob", SpawnPlan(never=True, start_returns=True))
    await start(api, "bob")
    await start(api)
    await hub.until(lambda: hub.count("server_ready", "alice"))
    token = (await api.post("users/alice/tokens")).json()["token"]

    await hub.restart()

    assert "Server ready at /user/alice/" in (await api.get("users/alice/server/progress")).text
    assert (await api.get(f"{hub.url}user/alice/api")).status_code == 200
    assert (await api.get("user", headers={"Authorization": f"token {token}"})).status_code == 200
    assert (await api.delete("users/bob/server")).status_code == 204
    assert hub.active_servers == {("alice", "")}


class _Script:
    """Alice cannot be created, and her progress is cut."""

    def fault(self, operation: Operation, username: str) -> Fault | None:
        return Fault(operation=operation, status=502) if (operation, username) == ("create_user", "alice") else None

    def cut(self, username: str, server_name: str) -> Cut | None:
        return Cut(username=username, after_events=1, in_event=True) if username == "alice" else None


async def test_a_script_decides_on_each_request_and_stream_that_no_ordered_fault_meets(
    hub: FakeHub, api: httpx.AsyncClient
) -> None:
    hub.fail_on("create_user", status=503)
    hub.follow_script(_Script())
    hub.spawn_plan("alice", SpawnPlan(never=True))
    created = [(await api.post(f"users/{name}")).status_code for name in ("alice", "alice", "bob")]
    hub.create_user("alice")
    await api.post("users/alice/server")
    content = bytearray()

    with pytest.raises(httpx.RemoteProtocolError):
        await read(api, content)

    assert created == [503, 502, 201]
    assert content.count(b"data: ") == 2
    assert not content.endswith(b"\n\n"), "it breaks within an event"


async def read(api: httpx.AsyncClient, content: bytearray) -> None:
    async with api.stream("GET", "users/alice/server/progress") as stream:
        async for chunk in stream.aiter_bytes():
            content += chunk


async def test_the_journal_lists_what_really_happened_even_before_a_restart(
    hub: FakeHub, api: httpx.AsyncClient
) -> None:
    await start(api, repo_url="https://example.org/one")
    await hub.until(lambda: hub.count("server_ready"))
    await api.delete("users/alice/server")
    await api.delete("users/alice")
    await hub.restart(keeps_state=False)

    whats = ["user_created", "spawn_started", "server_ready", "server_stopped", "user_deleted"]
    assert [line.what for line in hub.journal] == [*whats, "hub_killed", "state_lost", "hub_started"]
    assert {line.username for line in hub.journal[:5]} == {"alice"}
    assert hub.journal[1].user_options == {"repo_url": "https://example.org/one"}
    assert [line.at for line in hub.journal] == sorted(line.at for line in hub.journal)
    assert hub.users == {}


@pytest.mark.parametrize("end", ["release", "fail", "cancel", "kill"])
async def test_the_most_pending_spawns_are_counted(hub: FakeHub, api: httpx.AsyncClient, end: str) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    await start(api, "alice")
    match end:
        case "release":
            hub.release("alice")
        case "fail":
            hub.fail_spawn("alice", "boom")
        case "cancel":
            await hub.cancel_spawn("alice")
        case "kill":
            await hub.restart()
    await start(api, "bob")
    assert hub.most_pending == 1

    await start(api, "carol")

    assert hub.most_pending == 2
