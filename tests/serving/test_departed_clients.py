"""Requests whose clients have left before the app could begin."""

import asyncio
import json
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from hublaunch.serving.http_protocol import PIPELINED_MAX
from tests.fakes.hub import FakeHub
from tests.serving.test_server import REQUEST, answer_ok, served
from tests.support.processes import launch, replica
from tests.support.served import BODY
from tests.support.tcp import reset_on_close

CLIENTS = 200
KEY = "the-key-of-one-request"


class Counting:
    """An app that counts its requests by path, and answers when it may."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.has_begun = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.paths.append(scope["path"])
        self.has_begun.set()
        await self.may_answer.wait()
        await answer_ok(scope, receive, send)


@pytest.fixture
def app() -> Counting:
    return Counting()


def post(body: object, **headers: str) -> bytes:
    content = json.dumps(body).encode()
    head = {"Host": "127.0.0.1", "Content-Type": "application/json", "Content-Length": len(content), **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    return f"POST /launch HTTP/1.1\r\n{lines}\r\n".encode() + content


def send_and_leave(port: int, sent: bytes, *, how: str = "close") -> None:
    """Send these bytes and leave, without a turn of this process's event loop."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(sent)
        if how == "reset":
            reset_on_close(client)


async def answered(port: int, path: str = "/stays") -> bytes:
    """Return the answer to a client that stays."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    async with asyncio.timeout(20):
        answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize(
    "sent",
    [REQUEST, REQUEST * 3, post(BODY), post(BODY)[:-1], post({"much": "x" * 200_000})],
    ids=["get", "pipelined", "post", "a part of a post", "more than is read at once"],
)
async def test_the_app_begins_no_request_whose_client_has_left(app: Counting, sent: bytes, how: str) -> None:
    async with served(app) as port:
        for _ in range(CLIENTS // 2):
            send_and_leave(port, sent, how=how)

        answer = await answered(port)

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert app.paths == ["/stays"]


async def test_a_pipelined_request_does_not_begin_once_its_client_has_closed_its_side(app: Counting) -> None:
    app.may_answer.clear()
    async with served(app) as port, asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST + REQUEST.replace(b"/", b"/second", 1))
        await app.has_begun.wait()
        writer.write_eof()
        app.may_answer.set()

        answer = await reader.read()

        writer.close()
    assert answer.count(b"HTTP/1.1 200 ") == 1
    assert answer.endswith(b"two\r\n0\r\n\r\n")
    assert app.paths == ["/"]


async def test_a_connection_that_stays_gets_all_its_answers(app: Counting) -> None:
    async with served(app) as port, asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(3):
            writer.write(REQUEST * PIPELINED_MAX)
            for _ in range(PIPELINED_MAX):
                await reader.readuntil(b"two\r\n0\r\n\r\n")
        writer.close()

    assert len(app.paths) == 3 * PIPELINED_MAX


async def test_a_frozen_service_accepts_no_launch_of_clients_that_have_left(hub: FakeHub, tmp_path: Path) -> None:
    database = tmp_path / "hublaunch.sqlite"
    async with replica(hub, f"sqlite:///{database}") as one:
        port = one.http.base_url.port or 0
        one.freeze()
        for _ in range(CLIENTS):
            send_and_leave(port, post(BODY))
        for _ in range(3):
            send_and_leave(port, post(BODY, **{"Idempotency-Key": KEY}))
        one.thaw()

        accepted = await launch(one, BODY, **{"Idempotency-Key": KEY})  # stored after all others

        assert (await launch(one, BODY, **{"Idempotency-Key": KEY}))["id"] == accepted["id"]
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            assert connection.execute("SELECT id FROM launches").fetchall() == [(accepted["id"],)]
