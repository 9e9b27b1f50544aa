"""The connections of the transport: where they lead, and how long they are kept."""

import asyncio
import socket
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from hublaunch.wire import pool
from hublaunch.wire.transport import WireTransport
from tests.fakes.wire import WireConnection, WireServer
from tests.wire.asking import OK, answer_all, ask, full, tls_of


@pytest.fixture
async def transport() -> AsyncGenerator[WireTransport]:
    async with WireTransport() as transport:
        yield transport


# --- where they lead --------------------------------------------------------------------------------------------------


def resolving(*addresses: str, asked: list[str] | None = None) -> WireTransport:
    """Return a transport for which every name has these addresses."""

    async def resolve(host: str) -> Sequence[str]:
        if asked is not None:
            asked.append(host)
        await asyncio.sleep(0)
        return addresses

    return WireTransport(resolve=resolve)


def named(server: WireServer) -> str:
    return server.url.replace("127.0.0.1", "hub.example.org")


async def test_an_ipv6_address_is_connected_to(transport: WireTransport) -> None:
    received: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK)
        writer.close()

    server = await asyncio.start_server(answer, "::1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        response = await ask(transport, f"http://[::1]:{port}/")

    assert response.text == "ok"
    assert f"Host: [::1]:{port}".encode() in received[0]


async def test_a_unix_socket_is_connected_to_whatever_the_url_says(tmp_path: Path) -> None:
    received: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK)
        writer.close()

    path = tmp_path / "hub.sock"
    async with await asyncio.start_unix_server(answer, path), WireTransport(uds=path) as transport:
        response = await ask(transport, "http://hub.example.org/hub/api/")

    assert response.text == "ok"
    assert received[0].startswith(b"GET /hub/api/ HTTP/1.1\r\nHost: hub.example.org\r\n")


async def test_the_next_address_is_tried_if_the_first_refuses() -> None:
    async with WireServer(answer_all) as server, resolving("127.0.0.2", "127.0.0.1") as transport:
        response = await ask(transport, named(server), connect=5)

    assert response.text == "ok"


async def test_the_next_address_is_tried_if_the_first_does_not_answer() -> None:
    async with WireServer(answer_all) as server, resolving("127.0.0.2", "127.0.0.1") as transport:
        with full("127.0.0.2", int(server.url.rpartition(":")[2])):
            response = await ask(transport, named(server), connect=5)

    assert response.text == "ok"


async def test_an_address_that_answers_is_used_though_another_fails_at_the_same_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = asyncio.get_running_loop()
    create_connection, both = loop.create_connection, asyncio.Barrier(2)

    async def create_at_the_same_moment(new: Callable[[], asyncio.Protocol], address: str, port: int) -> object:
        made = await create_connection(new, address, port) if address == "127.0.0.1" else None
        await both.wait()
        if made is None:
            raise OSError("no route to host")
        return made

    monkeypatch.setattr(loop, "create_connection", create_at_the_same_moment)
    for _ in range(10):  # a set of tasks has another order each time
        async with WireServer(answer_all) as server, resolving("127.0.0.2", "127.0.0.1") as transport:
            assert (await ask(transport, named(server), connect=5)).text == "ok"


async def test_a_name_without_a_working_address_is_a_connect_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed_soon:
        port = closed_soon.getsockname()[1]

    async with resolving("127.0.0.2", "127.0.0.1") as transport:
        with pytest.raises(httpx.ConnectError):
            await ask(transport, f"http://hub.example.org:{port}/", connect=5)


@pytest.mark.parametrize("url", ["http://127.0.0.1:0/", "http://127.0.0.1:65536/", "ftp://127.0.0.1/", "http:///"])
async def test_a_url_that_cannot_be_connected_to_is_an_unsupported_protocol(transport: WireTransport, url: str) -> None:
    with pytest.raises(httpx.UnsupportedProtocol):
        await ask(transport, url)


async def test_a_connection_that_the_server_closed_before_the_request_is_a_connect_error(
    transport: WireTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    create_connection = loop.create_connection

    async def create_and_wait(*given: Any) -> tuple[asyncio.Transport, asyncio.Protocol]:
        made = await create_connection(*given)
        while not made[0].is_closing():  # noqa: ASYNC110 - asyncio has no event for it
            await asyncio.sleep(0)
        return made

    async def close(connection: WireConnection) -> None:
        """Close the connection by ending the script."""

    monkeypatch.setattr(loop, "create_connection", create_and_wait)
    async with WireServer(close) as server:
        with pytest.raises(httpx.ConnectError):
            await ask(transport, server.url, method="POST", content=b"{}")

    assert server.connections == 1


async def test_requests_at_the_same_time_share_one_lookup_and_later_ones_its_result() -> None:
    asked: list[str] = []
    async with WireServer(answer_all) as server, resolving("127.0.0.1", asked=asked) as transport:
        await asyncio.gather(*(ask(transport, named(server)) for _ in range(20)))
        await ask(transport, named(server))

    assert asked == ["hub.example.org"]


async def test_a_request_that_gives_up_does_not_end_the_lookup_of_another() -> None:
    release = asyncio.Event()

    async def resolve(host: str) -> Sequence[str]:
        await release.wait()
        return ["127.0.0.1"]

    async with WireServer(answer_all) as server, WireTransport(resolve=resolve) as transport:
        impatient = asyncio.create_task(ask(transport, named(server)))
        patient = asyncio.create_task(ask(transport, named(server)))
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.gather(impatient, return_exceptions=True)
        release.set()

        assert (await patient).text == "ok"


async def test_a_failed_lookup_is_not_remembered() -> None:
    answers: list[Sequence[str]] = [["127.0.0.1"], []]

    async def resolve(host: str) -> Sequence[str]:
        return answers.pop()

    async with WireServer(answer_all) as server, WireTransport(resolve=resolve) as transport:
        with pytest.raises(httpx.ConnectError):
            await ask(transport, named(server))
        assert (await ask(transport, named(server))).text == "ok"


# --- how long they are kept -------------------------------------------------------------------------------------------


async def test_an_idle_connection_is_closed_after_a_while(
    transport: WireTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "IDLE_S", 0.05)

    async def answer_until_closed(connection: WireConnection) -> None:
        await answer_all(connection)
        closed.release()

    closed = asyncio.Semaphore(0)
    async with WireServer(answer_until_closed) as server:
        await asyncio.gather(*(ask(transport, server.url) for _ in range(3)))
        for _ in range(3):
            await closed.acquire()
        await ask(transport, server.url)

    assert server.connections == 4


async def test_a_connection_gets_no_request_after_its_time_even_if_it_is_not_closed_yet(
    transport: WireTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "IDLE_S", 0)

    async with WireServer(answer_all) as server:
        for _ in range(2):
            await ask(transport, server.url)

    assert server.connections == 2


async def test_a_connection_that_the_server_closed_a_moment_ago_gets_no_request(transport: WireTransport) -> None:
    """The event loop has not seen yet that the server has closed it."""
    closing, closed = threading.Event(), threading.Event()
    received: list[bytes] = []

    def serve(listening: socket.socket) -> None:
        first, _ = listening.accept()
        with first:
            first.recv(65_536)
            first.sendall(OK)
            closing.wait(10)
        closed.set()
        second, _ = listening.accept()
        with second:
            received.append(second.recv(65_536))
            second.sendall(OK)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = threading.Thread(target=serve, args=(listening,))
        serving.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        await ask(transport, url)

        closing.set()
        closed.wait(10)
        response = await ask(transport, url, method="POST", content=b"{}")
        serving.join()

    assert response.text == "ok"
    assert len(received) == 1


async def test_a_connection_on_which_more_arrived_than_the_answer_is_not_reused(transport: WireTransport) -> None:
    async def answer_twice(connection: WireConnection) -> None:
        await connection.read_request()
        await connection.send(OK)
        await more.wait()
        await connection.send(OK.replace(b"ok", b"no"))
        await connection.until_closed()

    more = asyncio.Event()
    async with WireServer(answer_twice) as server:
        await ask(transport, server.url)
        more.set()
        await server.closed_by_client.wait()
        assert (await ask(transport, server.url)).text == "ok"

    assert server.connections == 2


async def test_a_connection_takes_requests_after_an_answer_to_head(transport: WireTransport) -> None:
    async def answer_by_method(connection: WireConnection) -> None:
        while await connection.read_request():
            is_head = connection._server.requests[-1].startswith(b"HEAD")
            await connection.send(OK.removesuffix(b"ok") if is_head else OK)

    async with WireServer(answer_by_method) as server:
        answers = [await ask(transport, server.url, method=method) for method in ("HEAD", "HEAD", "GET")]

    assert [answer.text for answer in answers] == ["", "", "ok"]
    assert server.connections == 1


@pytest.mark.parametrize("has_tls", [False, True], ids=["plain", "tls"])
async def test_an_answer_that_comes_before_the_request_was_read_is_returned(has_tls: bool, tmp_path: Path) -> None:
    async def refuse(connection: WireConnection) -> None:
        await connection._reader.readuntil(b"\r\n\r\n")
        await connection.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
        await answered.wait()

    answered = asyncio.Event()
    of_server, of_client = tls_of(tmp_path)
    async with (
        WireServer(refuse, ssl_context=of_server if has_tls else None) as server,
        WireTransport(ssl_context=of_client) as transport,
    ):
        answer = await ask(transport, server.url, method="POST", content=b"x" * 16_000_000, write=5)
        answered.set()
        await ask(transport, server.url)

    assert answer.status_code == 413
    assert server.connections == 2
