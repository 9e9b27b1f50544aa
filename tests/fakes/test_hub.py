"""The fake Hub's controls: spawns, restarts, journal, process. `tests/contract` shows that it behaves like a Hub."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tests.fakes.hub import FakeHub, SpawnPlan
from tests.fakes.requests import messages, start, start_and_wait

NEVER = SpawnPlan(never=True)


# --- spawns -----------------------------------------------------------------------------------------------------------


async def test_a_silent_stream_gets_blank_lines(hub: FakeHub, api: httpx.AsyncClient) -> None:
    hub.keepalive_s = 0.01
    hub.spawn_plan("alice", NEVER)
    await start(api)

    content = b""
    async with api.stream("GET", "users/alice/server/progress") as stream:
        async for chunk in stream.aiter_bytes():
            content += chunk
            if content.endswith(b"\n\n" * 4):
                break

    assert content.count(b"data: ") == 2


# --- restarts ---------------------------------------------------------------------------------------------------------


async def test_a_server_under_check_can_be_stopped(hub: FakeHub, api: httpx.AsyncClient) -> None:
    hub.spawn_plan("alice", SpawnPlan(never=True, start_returns=True))
    await start(api)
    await hub.restart()

    assert (await api.delete("users/alice/server")).status_code == 204
    assert hub.active_servers == set()


async def test_a_ready_server_and_tokens_survive_a_restart(hub: FakeHub, api: httpx.AsyncClient) -> None:
    await start_and_wait(hub, api)
    token = (await api.post("users/alice/tokens")).json()["token"]

    await hub.restart()

    assert await messages(api) == ["Server ready at /user/alice/"]
    assert (await api.get(f"{hub.url}user/alice/api")).status_code == 200
    assert (await api.get("user", headers={"Authorization": f"token {token}"})).status_code == 200


# --- what happened ----------------------------------------------------------------------------------------------------


async def test_the_journal_lists_what_really_happened_in_order(hub: FakeHub, api: httpx.AsyncClient) -> None:
    await start_and_wait(hub, api)
    await api.delete("users/alice/server")
    await api.delete("users/alice")

    happened = [(line.what, line.username) for line in hub.journal]

    whats = ["user_created", "spawn_started", "server_ready", "server_stopped", "user_deleted"]
    assert happened == [(what, "alice") for what in whats]
    assert [line.at for line in hub.journal] == sorted(line.at for line in hub.journal)


async def test_the_journal_keeps_spawn_options_and_survives_a_restart(hub: FakeHub, api: httpx.AsyncClient) -> None:
    await start(api, repo_url="https://example.org/one")
    await hub.until(lambda: hub.count("server_ready"))

    await hub.restart(keeps_state=False)

    assert [line.user_options for line in hub.journal if line.what == "spawn_started"] == [
        {"repo_url": "https://example.org/one"}
    ]
    assert [line.what for line in hub.journal][-3:] == ["hub_killed", "state_lost", "hub_started"]
    assert hub.users == {}


async def test_until_times_out(hub: FakeHub) -> None:
    with pytest.raises(TimeoutError):
        await hub.until(lambda: hub.users, timeout=0.01)


async def test_a_hub_with_open_streams_stops_at_once() -> None:
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
    """Yield a client of a Hub in a separate process, and check that SIGTERM ends that process."""
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "tests.fakes.hub_process", "--slow-spawn-timeout", "0", *arguments],
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            address = json.loads(await process.stdout.readline())
        headers = {"Authorization": f"token {address['token']}"}
        async with httpx.AsyncClient(
            base_url=f"{address['api_url']}/", headers=headers, trust_env=False, verify=False
        ) as api:
            yield api
    finally:
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(5):
            assert await process.wait() == 0


async def test_a_hub_process_applies_limits_and_reports_at_its_end(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    limits = ["--concurrent-spawn-limit", "2", "--active-server-limit", "3"]
    async with as_a_process("--spawn-s", "0.2", *limits, "--report", str(report)) as api:
        answers = [await start(api, name) for name in ("ada", "bob", "eve")]
        await messages(api, "ada")
        await messages(api, "bob")
        answers += [await start(api, name) for name in ("eve", "joe")]

    reported = json.loads(report.read_text())
    assert [(answer.status_code, "Retry-After" in answer.headers) for answer in answers] == [
        (202, False),
        (202, False),
        (429, True),
        (202, False),
        (429, False),
    ]
    assert (reported["most_pending"], reported["answers"]) == (2, {"202": 3, "429": 2})
    assert reported["users"] == ["ada", "bob", "eve", "joe"]
    assert reported["active_servers"] == [["ada", ""], ["bob", ""], ["eve", ""]]
    started = [line["username"] for line in reported["journal"] if line["what"] == "spawn_started"]
    assert started == ["ada", "bob", "eve"]


@pytest.mark.parametrize("end", ["release", "fail", "cancel", "kill"])
async def test_the_most_pending_spawns_are_counted(hub: FakeHub, api: httpx.AsyncClient, end: str) -> None:
    hub.spawn_plan(None, NEVER)
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
