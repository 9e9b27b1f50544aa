"""The fake Hub's faults: wrong answers, broken connections and cut streams."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.fakes.hub import FakeHub, SpawnPlan
from tests.fakes.hub_faults import Cut, Fault, Operation
from tests.fakes.requests import messages, read, start, start_and_wait

NEVER = SpawnPlan(never=True)


@pytest.mark.parametrize(
    ("body", "content"), [("half", b'{"status": 200, "mess'), ("empty", b""), (b"null", b"null"), (b"%d%", b"%d%")]
)
async def test_a_fault_can_be_a_broken_success(hub: FakeHub, api: httpx.AsyncClient, body: Any, content: bytes) -> None:
    hub.fail_on("get_user", status=200, body=body)

    answer = await api.get("users/alice")

    assert (answer.status_code, answer.content) == (200, content)


async def test_faults_are_used_up_one_by_one(hub: FakeHub, api: httpx.AsyncClient) -> None:
    hub.fail_on("get_user", status=500, times=2)
    hub.fail_on("get_user", status=504)

    statuses = [(await api.get("users/alice")).status_code for _ in range(4)]

    assert statuses == [500, 500, 504, 404]


@pytest.mark.parametrize(("how", "error"), [("drop", httpx.RemoteProtocolError), ("reset", httpx.ReadError)])
async def test_a_fault_can_break_the_connection(
    hub: FakeHub, api: httpx.AsyncClient, how: Any, error: type[Exception]
) -> None:
    hub.fail_on("start_server", how=how, act=True)
    await api.post("users/alice")

    with pytest.raises(error):
        await api.post("users/alice/server")

    assert hub.count("spawn_started", "alice") == 1
    assert hub.asked("start_server")[0].status is None


async def test_a_hanging_request_ends_when_the_client_leaves(hub: FakeHub, api: httpx.AsyncClient) -> None:
    hub.fail_on("get_user", how="hang")
    asking = asyncio.create_task(api.get("users/alice"))
    await hub.until(lambda: hub.asked("get_user", "alice"))

    asking.cancel()

    await hub.until(lambda: hub.connections == 0)


class _Script:
    """One user cannot be created, and their progress is cut."""

    def __init__(self, username: str) -> None:
        self._username = username

    def fault(self, operation: Operation, username: str) -> Fault | None:
        fails = (operation, username) == ("create_user", self._username)
        return Fault(operation=operation, status=502) if fails else None

    def cut(self, username: str, server_name: str) -> Cut | None:
        return Cut(username=username, after_events=1) if username == self._username else None


async def test_a_script_decides_on_each_request_and_stream(hub: FakeHub, api: httpx.AsyncClient) -> None:
    hub.follow_script(_Script("alice"))
    refused = await api.post("users/alice")
    hub.create_user("alice")
    await start(api, "bob")
    await api.post("users/alice/server")

    with pytest.raises(httpx.RemoteProtocolError):
        await read(api, bytearray())

    assert refused.status_code == 502
    assert await messages(api, "bob") == ["Server ready at /user/bob/"]


async def test_ordered_faults_come_before_the_script(hub: FakeHub, api: httpx.AsyncClient) -> None:
    hub.fail_on("create_user", status=503)
    hub.follow_script(_Script("alice"))

    assert (await api.post("users/alice")).status_code == 503


@pytest.mark.parametrize("status", [424, 503])
async def test_an_absent_server_can_answer_in_other_ways(hub: FakeHub, api: httpx.AsyncClient, status: Any) -> None:
    hub.absent_status = status

    assert (await api.get(f"{hub.url}user/alice/api")).status_code == status


async def test_the_default_server_answers_for_an_absent_named_server(hub: FakeHub, api: httpx.AsyncClient) -> None:
    await start_and_wait(hub, api)

    assert (await api.get(f"{hub.url}user/alice/extra/api")).status_code == 404


async def test_a_progress_stream_can_break_within_an_event(hub: FakeHub, api: httpx.AsyncClient) -> None:
    hub.spawn_plan("alice", NEVER)
    hub.cut_progress("alice", after_events=1, in_event=True)
    await start(api)

    content = bytearray()
    with pytest.raises(httpx.RemoteProtocolError):
        await read(api, content)

    assert content.count(b"data: ") == 2
    assert not content.endswith(b"\n\n")


async def test_a_progress_stream_can_come_byte_by_byte(hub: FakeHub, api: httpx.AsyncClient) -> None:
    hub.spawn_plan("alice", SpawnPlan(messages=["pulling"]))
    hub.cut_progress("alice", piece_bytes=1)
    await start(api)

    async with api.stream("GET", "users/alice/server/progress") as stream:
        chunks = [chunk async for chunk in stream.aiter_raw()]

    assert b"Server ready" in b"".join(chunks)
    assert len(chunks) > 10
