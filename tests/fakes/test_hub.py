"""The controls of the fake Hub. That it behaves like a Hub is what `tests/contract` says."""

import asyncio
import json
import math
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes.hub import FakeHub, SpawnPlan
from tests.fakes.hub_faults import Cut, Fault, Operation

NEVER = SpawnPlan(never=True)


@pytest.fixture
async def api(hub: FakeHub) -> AsyncGenerator[httpx.AsyncClient]:
    headers = {"Authorization": f"token {hub.api_token}"}
    async with httpx.AsyncClient(
        base_url=f"{hub.api_url}/", headers=headers, trust_env=False, verify=False, timeout=5
    ) as client:
        yield client


async def _start(api: httpx.AsyncClient, username: str = "alice", **options: Any) -> httpx.Response:
    await api.post(f"users/{username}")
    return await api.post(f"users/{username}/server", json=options)


async def _start_and_wait(hub: FakeHub, api: httpx.AsyncClient) -> None:
    await _start(api)
    await hub.until(lambda: hub.count("server_ready", "alice"))


async def _messages(api: httpx.AsyncClient, username: str = "alice") -> list[str]:
    stream = await api.get(f"users/{username}/server/progress")
    return [json.loads(line.removeprefix("data: "))["message"] for line in stream.text.splitlines() if line]


async def _read(api: httpx.AsyncClient, content: bytearray) -> None:
    async with api.stream("GET", "users/alice/server/progress") as stream:
        async for chunk in stream.aiter_bytes():
            content += chunk


# --- spawns -----------------------------------------------------------------------------------------------------------


async def test_a_spawn_is_stepped_by_hand(hub: FakeHub, api: httpx.AsyncClient) -> None:
    hub.spawn_plan("alice", NEVER)
    await _start(api)
    reading = asyncio.create_task(_messages(api))
    await hub.until(lambda: hub.open_streams)

    hub.report("alice", "half way", progress=50)
    hub.release("alice")

    told = ["Server requested", "Spawning server...", "half way", "Server ready at /user/alice/"]
    assert await reading == told
    assert hub.active_servers == {("alice", "")}


async def test_a_spawn_fails_by_hand(hub: FakeHub, api: httpx.AsyncClient) -> None:
    hub.spawn_plan("alice", NEVER)
    await _start(api)

    hub.fail_spawn("alice", "no nodes left")

    assert await _messages(api) == ["Spawn failed: no nodes left"]
    assert hub.active_servers == set()


async def test_a_cancelled_spawn_announces_a_server_that_is_not_there(hub: FakeHub, api: httpx.AsyncClient) -> None:
    hub.spawn_plan("alice", NEVER)
    await _start(api)
    reading = asyncio.create_task(_messages(api))
    await hub.until(lambda: hub.open_streams)

    await hub.cancel_spawn("alice")

    assert (await reading)[-1] == "Server ready at /user/alice/"
    assert (await api.get(f"{hub.url}user/alice/api")).status_code == 302
    assert (hub.count("spawn_cancelled", "alice"), hub.count("server_ready")) == (1, 0)


async def test_a_plan_is_for_one_user_or_for_all_others(hub: FakeHub, api: httpx.AsyncClient) -> None:
    hub.spawn_plan(None, SpawnPlan(fails="boom"))
    hub.spawn_plan("alice", SpawnPlan())
    hub.slow_spawn_timeout = 5

    assert (await _start(api, "alice")).status_code == 201
    assert (await _start(api, "bob")).status_code == 500
    assert (await _start(api, "eve", test_spawn={})).status_code == 201


async def test_a_blocking_start_waits_for_the_spawn(hub: FakeHub, api: httpx.AsyncClient) -> None:
    hub.slow_spawn_timeout = 5
    hub.spawn_plan("alice", NEVER)
    starting = asyncio.create_task(_start(api))
    await hub.until(lambda: hub.is_spawning("alice"))

    hub.release("alice")

    assert (await starting).status_code == 201


async def test_a_stop_is_finished_by_hand(hub: FakeHub, api: httpx.AsyncClient) -> None:
    hub.stop_s = math.inf
    await _start_and_wait(hub, api)
    stopping = asyncio.create_task(api.delete("users/alice/server"))
    await hub.until(lambda: hub.users["alice"].servers[""].pending == "stop")

    hub.finish_stop("alice")

    assert (await stopping).status_code == 204
    assert hub.count("server_stopped") == 1


async def test_silence_is_filled_with_blank_lines(hub: FakeHub, api: httpx.AsyncClient) -> None:
    hub.keepalive_s = 0.01
    hub.spawn_plan("alice", NEVER)
    await _start(api)

    content = b""
    async with api.stream("GET", "users/alice/server/progress") as stream:
        async for chunk in stream.aiter_bytes():
            content += chunk
            if content.endswith(b"\n\n" * 4):
                break

    assert content.count(b"data: ") == 2


# --- faults -----------------------------------------------------------------------------------------------------------


async def test_a_fault_hides_what_the_hub_did(hub: FakeHub, api: httpx.AsyncClient) -> None:
    hub.fail_on("create_user", status=502, act=True, body="html")

    first = await api.post("users/alice")
    second = await api.post("users/alice")

    assert (first.status_code, first.headers["Content-Type"]) == (502, "text/html")
    assert second.status_code == 409
    assert hub.count("user_created", "alice") == 1


async def test_a_fault_without_act_does_nothing(hub: FakeHub, api: httpx.AsyncClient) -> None:
    hub.fail_on("create_user", status=503, headers={"Retry-After": "7"})

    answer = await api.post("users/alice")

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")
    assert answer.json() == {"status": 503, "message": "Service Unavailable"}
    assert hub.users == {}


@pytest.mark.parametrize(
    ("body", "content"), [("half", b'{"status": 200, "mess'), ("empty", b""), (b"null", b"null"), (b"%d%", b"%d%")]
)
async def test_a_fault_may_be_a_broken_success(hub: FakeHub, api: httpx.AsyncClient, body: Any, content: bytes) -> None:
    hub.fail_on("get_user", status=200, body=body)

    answer = await api.get("users/alice")

    assert (answer.status_code, answer.content) == (200, content)


async def test_faults_are_used_up_one_by_one(hub: FakeHub, api: httpx.AsyncClient) -> None:
    hub.fail_on("get_user", status=500, times=2)
    hub.fail_on("get_user", status=504)

    statuses = [(await api.get("users/alice")).status_code for _ in range(4)]

    assert statuses == [500, 500, 504, 404]


async def test_a_fault_may_be_one_users_own(hub: FakeHub, api: httpx.AsyncClient) -> None:
    hub.fail_on("get_user", username="bob", status=500, times=math.inf)

    assert (await api.get("users/alice")).status_code == 404
    assert (await api.get("users/bob")).status_code == 500


async def test_healing_forgets_every_fault(hub: FakeHub, api: httpx.AsyncClient) -> None:
    hub.fail_on("get_user", status=500, times=math.inf)

    hub.heal()

    assert (await api.get("users/alice")).status_code == 404


async def test_a_reset_reaches_the_client_as_one(hub: FakeHub, api: httpx.AsyncClient) -> None:
    hub.fail_on("start_server", how="reset", act=True)
    await api.post("users/alice")

    with pytest.raises(httpx.ReadError):
        await api.post("users/alice/server")

    assert hub.count("spawn_started", "alice") == 1
    assert hub.asked("start_server")[0].status is None


async def test_a_drop_leaves_the_client_without_an_answer(hub: FakeHub, api: httpx.AsyncClient) -> None:
    hub.fail_on("get_user", how="drop")

    with pytest.raises(httpx.RemoteProtocolError):
        await api.get("users/alice")


async def test_a_request_that_hangs_is_let_go_when_the_client_leaves(hub: FakeHub, api: httpx.AsyncClient) -> None:
    hub.fail_on("get_user", how="hang")
    asking = asyncio.create_task(api.get("users/alice"))
    await hub.until(lambda: hub.asked("get_user", "alice"))

    asking.cancel()

    await hub.until(lambda: hub.connections == 0)


async def test_a_request_that_hangs_may_be_dropped_in_the_end(hub: FakeHub, api: httpx.AsyncClient) -> None:
    hub.fail_on("create_user", how="hang", act=True, hangs_s=0.01)

    with pytest.raises(httpx.RemoteProtocolError):
        await api.post("users/alice")

    assert "alice" in hub.users


class _Script:
    """One user cannot be created, and their progress is cut."""

    def __init__(self, username: str) -> None:
        self._username = username

    def fault(self, operation: Operation, username: str) -> Fault | None:
        fails = (operation, username) == ("create_user", self._username)
        return Fault(operation=operation, status=502) if fails else None

    def cut(self, username: str, server_name: str) -> Cut | None:
        return Cut(username=username, after_events=1) if username == self._username else None


async def test_a_script_is_asked_at_each_request(hub: FakeHub, api: httpx.AsyncClient) -> None:
    hub.follow_script(_Script("alice"))

    assert (await api.post("users/alice")).status_code == 502
    assert (await api.post("users/bob")).status_code == 201


async def test_a_script_comes_after_what_was_ordered(hub: FakeHub, api: httpx.AsyncClient) -> None:
    hub.fail_on("create_user", status=503)
    hub.follow_script(_Script("alice"))

    assert (await api.post("users/alice")).status_code == 503


async def test_a_script_may_cut_a_progress_stream(hub: FakeHub, api: httpx.AsyncClient) -> None:
    hub.spawn_plan("alice", NEVER)
    await _start(api)
    hub.follow_script(_Script("alice"))

    content = bytearray()
    with pytest.raises(httpx.RemoteProtocolError):
        await _read(api, content)

    assert content.count(b"data: ") == 1


async def test_a_server_may_seem_absent(hub: FakeHub, api: httpx.AsyncClient) -> None:
    await _start_and_wait(hub, api)
    hub.fail_on("reach_server", status=503)

    statuses = [(await api.get(f"{hub.url}user/alice/api")).status_code for _ in range(2)]

    assert statuses == [503, 200]


@pytest.mark.parametrize("status", [424, 503])
async def test_an_absent_server_may_be_told_in_other_ways(hub: FakeHub, api: httpx.AsyncClient, status: Any) -> None:
    hub.absent_status = status

    assert (await api.get(f"{hub.url}user/alice/api")).status_code == status


async def test_where_a_named_server_is_absent_the_default_one_answers(hub: FakeHub, api: httpx.AsyncClient) -> None:
    await _start_and_wait(hub, api)

    assert (await api.get(f"{hub.url}user/alice/extra/api")).status_code == 404


@pytest.mark.parametrize(("how", "error"), [("drop", httpx.RemoteProtocolError), ("reset", httpx.ReadError)])
async def test_a_progress_stream_breaks_where_it_was_cut(
    hub: FakeHub, api: httpx.AsyncClient, how: Any, error: type[Exception]
) -> None:
    hub.spawn_plan("alice", NEVER)
    hub.cut_progress("alice", after_events=2, how=how)
    await _start(api)

    content = bytearray()
    with pytest.raises(error):
        await _read(api, content)

    assert content.count(b"data: ") == 2
    await hub.until(lambda: hub.open_streams == 0)
    assert hub.is_spawning("alice")


async def test_a_cut_progress_stream_may_end_as_if_nothing_were_wrong(hub: FakeHub, api: httpx.AsyncClient) -> None:
    hub.spawn_plan("alice", NEVER)
    hub.cut_progress("alice", after_events=0, how="end")
    await _start(api)

    assert await _messages(api) == []


async def test_a_progress_stream_may_break_within_an_event(hub: FakeHub, api: httpx.AsyncClient) -> None:
    hub.spawn_plan("alice", NEVER)
    hub.cut_progress("alice", after_events=1, in_event=True)
    await _start(api)

    content = bytearray()
    with pytest.raises(httpx.RemoteProtocolError):
        await _read(api, content)

    assert content.count(b"data: ") == 2
    assert not content.endswith(b"\n\n")


async def test_a_progress_stream_may_come_byte_by_byte(hub: FakeHub, api: httpx.AsyncClient) -> None:
    hub.spawn_plan("alice", SpawnPlan(messages=["pulling"]))
    hub.cut_progress("alice", piece_bytes=1)
    await _start(api)

    async with api.stream("GET", "users/alice/server/progress") as stream:
        chunks = [chunk async for chunk in stream.aiter_raw()]

    assert b"Server ready" in b"".join(chunks)
    assert len(chunks) > 10


# --- restarts ---------------------------------------------------------------------------------------------------------


async def test_a_killed_hub_refuses_connections_until_it_starts_again(hub: FakeHub, api: httpx.AsyncClient) -> None:
    url = hub.url
    await hub.kill()

    with pytest.raises(httpx.ConnectError):
        await api.get("")

    await hub.start_again()
    assert hub.url == url
    assert (await api.get("")).status_code == 200


async def test_a_kill_breaks_streams_and_loses_the_spawn(hub: FakeHub, api: httpx.AsyncClient) -> None:
    hub.spawn_plan("alice", NEVER)
    await _start(api)
    reading = asyncio.create_task(_read(api, bytearray()))
    await hub.until(lambda: hub.open_streams)

    await hub.restart()

    with pytest.raises(httpx.RemoteProtocolError):
        await reading
    assert (await api.get("users/alice")).json()["servers"] == {}
    assert (await api.get("users/alice/server/progress")).status_code == 404
    assert hub.count("spawn_lost", "alice") == 1
    assert (await _start(api)).status_code == 202


async def test_a_spawn_that_only_waited_for_its_port_is_checked_after_a_restart(
    hub: FakeHub, api: httpx.AsyncClient
) -> None:
    hub.spawn_plan("alice", SpawnPlan(never=True, start_returns=True))
    await _start(api)
    await hub.restart()

    while_checked = (await api.get("users/alice")).json()["servers"][""]
    progress = await api.get("users/alice/server/progress")
    start = await api.post("users/alice/server")
    hub.release("alice")

    assert (while_checked["pending"], while_checked["ready"]) == ("check", False)
    assert (progress.status_code, start.json()["message"]) == (400, "alice is pending check")
    assert await _messages(api) == ["Server ready at /user/alice/"]


async def test_a_server_under_check_can_be_stopped(hub: FakeHub, api: httpx.AsyncClient) -> None:
    hub.spawn_plan("alice", SpawnPlan(never=True, start_returns=True))
    await _start(api)
    await hub.restart()

    assert (await api.delete("users/alice/server")).status_code == 204
    assert hub.active_servers == set()


async def test_a_ready_server_and_tokens_survive_a_restart(hub: FakeHub, api: httpx.AsyncClient) -> None:
    await _start_and_wait(hub, api)
    token = (await api.post("users/alice/tokens")).json()["token"]

    await hub.restart()

    assert await _messages(api) == ["Server ready at /user/alice/"]
    assert (await api.get(f"{hub.url}user/alice/api")).status_code == 200
    assert (await api.get("user", headers={"Authorization": f"token {token}"})).status_code == 200


async def test_a_restart_ends_a_stop(hub: FakeHub, api: httpx.AsyncClient) -> None:
    hub.stop_s, hub.slow_stop_timeout = math.inf, 0.01
    await _start_and_wait(hub, api)
    await api.delete("users/alice/server")

    await hub.restart()

    assert hub.active_servers == set()
    assert (await api.delete("users/alice")).status_code == 204


async def test_nothing_survives_where_the_state_was_in_memory(hub: FakeHub, api: httpx.AsyncClient) -> None:
    await _start(api)

    await hub.restart(keeps_state=False)

    assert hub.users == {}
    assert (await api.get("users/alice")).status_code == 404


# --- what happened ----------------------------------------------------------------------------------------------------


async def test_the_journal_tells_what_really_happened_in_order(hub: FakeHub, api: httpx.AsyncClient) -> None:
    await _start_and_wait(hub, api)
    await api.delete("users/alice/server")
    await api.delete("users/alice")

    told = [(line.what, line.username) for line in hub.journal]

    whats = ["user_created", "spawn_started", "server_ready", "server_stopped", "user_deleted"]
    assert told == [(what, "alice") for what in whats]
    assert [line.at for line in hub.journal] == sorted(line.at for line in hub.journal)


async def test_the_journal_keeps_what_a_spawn_was_asked_for_and_survives_a_restart(
    hub: FakeHub, api: httpx.AsyncClient
) -> None:
    await _start(api, repo_url="https://example.org/one")
    await hub.until(lambda: hub.count("server_ready"))

    await hub.restart(keeps_state=False)

    assert [line.user_options for line in hub.journal if line.what == "spawn_started"] == [
        {"repo_url": "https://example.org/one"}
    ]
    assert [line.what for line in hub.journal][-3:] == ["hub_killed", "state_lost", "hub_started"]


async def test_requests_are_kept_as_they_came(hub: FakeHub, api: httpx.AsyncClient) -> None:
    await api.post(f"{hub.api_url}/users/a%20b%2Fc%40?x=%31", content=b"{}")

    request = hub.requests[-1]

    assert (request.method, request.raw_path) == ("POST", "/hub/api/users/a%20b%2Fc%40?x=%31")
    assert (request.operation, request.username, request.body) == ("create_user", "a b/c@", b"{}")
    assert request.status == 400


async def test_waiting_for_what_does_not_happen_ends(hub: FakeHub) -> None:
    with pytest.raises(TimeoutError):
        await hub.until(lambda: hub.users, timeout=0.01)


async def test_a_reader_that_leaves_is_noticed(hub: FakeHub, api: httpx.AsyncClient) -> None:
    hub.spawn_plan("alice", NEVER)
    await _start(api)
    reading = asyncio.create_task(_messages(api))
    await hub.until(lambda: hub.open_streams == 1)

    reading.cancel()

    await hub.until(lambda: hub.open_streams == 0)


async def test_scopes_can_be_taken_away(hub: FakeHub, api: httpx.AsyncClient) -> None:
    await api.post("users/alice")
    hub.scopes.remove("tokens")
    hub.scopes.remove("admin:users")

    minting = await api.post("users/alice/tokens")
    creating = await api.post("users/bob")
    looking = await api.get("users/alice")

    needs = "Action is not authorized with current scopes; requires any of [admin:users]"
    assert (minting.status_code, creating.json()) == (403, {"status": 403, "message": needs})
    assert set(looking.json()) == {"name", "kind", "admin", "servers"}


async def test_a_hub_ends_at_once_with_streams_open() -> None:
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        async with FakeHub() as hub:
            hub.slow_spawn_timeout = 0
            hub.spawn_plan(None, NEVER)
            hub.fail_on("get_user", how="hang")
            client.headers["Authorization"] = f"token {hub.api_token}"
            await client.post(f"{hub.api_url}/users/alice")
            await client.post(f"{hub.api_url}/users/alice/server")
            waiting = [
                asyncio.create_task(client.get(f"{hub.api_url}/users/alice/server/progress")),
                asyncio.create_task(client.get(f"{hub.api_url}/users/alice")),
            ]
            await hub.until(lambda: hub.open_streams and hub.asked("get_user"))

        async with asyncio.timeout(1):
            ended = await asyncio.gather(*waiting, return_exceptions=True)

    assert all(isinstance(error, httpx.TransportError) for error in ended)


@asynccontextmanager
async def as_a_process(*arguments: str) -> AsyncGenerator[httpx.AsyncClient]:
    """A caller of a Hub in a process of its own, which is told to stop on leaving and has to end by that."""
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "tests.fakes.hub_process", "--slow-spawn-timeout", "0", *arguments],
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            told = json.loads(await process.stdout.readline())
        headers = {"Authorization": f"token {told['token']}"}
        async with httpx.AsyncClient(
            base_url=f"{told['api_url']}/", headers=headers, trust_env=False, verify=False
        ) as api:
            yield api
    finally:
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(5):
            assert await process.wait() == 0


async def test_it_runs_as_its_own_process() -> None:
    async with as_a_process("--spawn-s", "0.1", "--events", "5") as api:
        assert (await _start(api)).status_code == 202
        messages = await _messages(api)

    assert messages == ["Server requested", "Step 1", "Step 2", "Step 3", "Server ready at /user/alice/"]


async def test_a_hub_that_is_a_process_has_limits_and_tells_in_the_end_what_happened(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    limits = ["--concurrent-spawn-limit", "2", "--active-server-limit", "3"]
    async with as_a_process("--spawn-s", "0.2", *limits, "--report", str(report)) as api:
        answers = [await _start(api, name) for name in ("ada", "bob", "eve")]
        await _messages(api, "ada")
        await _messages(api, "bob")
        answers += [await _start(api, name) for name in ("eve", "joe")]

    told = json.loads(report.read_text())
    assert [(answer.status_code, "Retry-After" in answer.headers) for answer in answers] == [
        (202, False),
        (202, False),
        (429, True),
        (202, False),
        (429, False),
    ]
    assert (told["most_pending"], told["answers"]) == (2, {"202": 3, "429": 2})
    assert told["users"] == ["ada", "bob", "eve", "joe"]
    assert told["active_servers"] == [["ada", ""], ["bob", ""], ["eve", ""]]
    assert [line["username"] for line in told["journal"] if line["what"] == "spawn_started"] == ["ada", "bob", "eve"]


@pytest.mark.parametrize("end", ["release", "fail", "cancel", "kill"])
async def test_the_most_that_was_pending_at_once_is_counted(hub: FakeHub, api: httpx.AsyncClient, end: str) -> None:
    hub.spawn_plan(None, NEVER)
    await _start(api, "alice")
    match end:
        case "release":
            hub.release("alice")
        case "fail":
            hub.fail_spawn("alice", "boom")
        case "cancel":
            await hub.cancel_spawn("alice")
        case "kill":
            await hub.restart()
    await _start(api, "bob")
    assert hub.most_pending == 1

    await _start(api, "carol")

    assert hub.most_pending == 2
