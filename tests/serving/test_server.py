"""The configuration of uvicorn."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from ipaddress import ip_network
from itertools import repeat
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from hublaunch.serving import connections
from hublaunch.serving.http_protocol import HEADERS_MAX, PIPELINED_MAX
from hublaunch.serving.server import server_config
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub
from tests.support.processes import Replica, events, launch, replica

TRAEFIK_KEEPS_S = 90
CHUNK = b"x" * 65_536
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Flood:
    """An app that writes for as long as its client is there."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        writing = asyncio.ensure_future(self._write(send))
        while (await receive())["type"] != "http.disconnect":
            pass
        writing.cancel()
        self.gone.set()

    async def _write(self, send: Send) -> None:
        while True:
            await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
            await asyncio.sleep(0)  # once the client is gone, uvicorn's send returns immediately


def settings(send_timeout_s: float = 30, **more: object) -> Settings:
    return Settings(hub_url="http://127.0.0.1:1/", hub_api_token="x" * 32, send_timeout=send_timeout_s, **more)  # type: ignore[arg-type]


@pytest.fixture
def flood() -> Flood:
    return Flood()


@asynccontextmanager
async def served(
    app: ASGIApp, *, send_timeout_s: float = 30, head_timeout_s: float = 10, **more: object
) -> AsyncGenerator[int]:
    """Serve the app, and yield the port."""
    given = settings(send_timeout_s, **more)
    config = server_config(app, given, host="127.0.0.1", port=0, head_timeout_s=head_timeout_s)
    config.load()
    loop = asyncio.get_running_loop()
    state = uvicorn.server.ServerState()
    server = await loop.create_server(
        lambda: config.http_protocol_class(config=config, server_state=state, app_state={}),  # type: ignore[call-arg]
        "127.0.0.1",
    )
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_client_that_reads_nothing_is_disconnected_after_the_send_timeout(flood: Flood) -> None:
    async with served(flood, send_timeout_s=0.1) as port:
        with socket.create_connection(("127.0.0.1", port)) as stuck:
            stuck.sendall(REQUEST)

            async with asyncio.timeout(20):
                await flood.gone.wait()


async def test_no_timeout_disconnects_a_client_that_has_sent_its_request_and_keeps_reading(flood: Flood) -> None:
    async with served(flood, send_timeout_s=0.1, head_timeout_s=0.2) as port, asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET)
        writer.write(b"\r\n")
        began = asyncio.get_running_loop().time()

        while asyncio.get_running_loop().time() < began + 0.6:
            assert await reader.read(len(CHUNK))

        assert not flood.gone.is_set()
        writer.close()
        await flood.gone.wait()


def test_idle_connections_stay_open_longer_than_in_proxies(flood: Flood) -> None:
    config = server_config(flood, settings(), host="127.0.0.1", port=0)

    assert config.timeout_keep_alive > TRAEFIK_KEEPS_S


# --- what a client may send -------------------------------------------------------------------------------------------

MIB = 2**20
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
POST_TOO_EARLY = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf"


async def answer_ok(_: Scope, __: Receive, send: Send) -> None:
    """Answer without a length."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"one", "more_body": True})
    await send({"type": "http.response.body", "body": b"two"})


async def answer_to(port: int, *parts: bytes) -> bytes:
    """Send these bytes, and return everything that the server answers until it closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    with suppress(ConnectionError):  # if the server has not read everything that was sent
        async with asyncio.timeout(30):
            for part in parts:
                writer.write(part)
                await writer.drain()
            while piece := await reader.read(4096):
                answer += piece
    writer.close()
    return answer


@pytest.fixture
async def running(hub: FakeHub, tmp_path: Path) -> AsyncGenerator[Replica]:
    async with replica(hub, f"sqlite:///{tmp_path}/hublaunch.sqlite") as one:
        yield one


def resident_mib(one: Replica) -> float:
    status = Path(f"/proc/{one.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


@pytest.mark.parametrize("piece", [b"X-Many: " + b"x" * 1000 + b"\r\n", b"x" * 1000], ids=["many lines", "one line"])
async def test_a_head_of_150_mib_takes_no_memory_and_delays_nobody(running: Replica, piece: bytes) -> None:
    assert (await running.http.get("/healthz")).status_code == 200
    before = resident_mib(running)

    flooding = asyncio.create_task(_flood(running, repeat(piece * 64, 150 * MIB // (len(piece) * 64))))
    waits = []
    while not flooding.done():
        async with asyncio.timeout(10):
            waits.append((await running.http.get("/healthz")).elapsed.total_seconds())
    sent = await flooding

    assert sent < 10 * MIB
    assert resident_mib(running) - before < 10
    assert max(waits) < 3  # which the liveness probe allows


async def _flood(one: Replica, pieces: Iterator[bytes]) -> int:
    """Return the number of bytes of a head that the service accepted before it closed the connection."""
    _, writer = await asyncio.open_connection("127.0.0.1", one.http.base_url.port)
    writer.write(GET + b"X-First: ")
    sent = 0
    with suppress(ConnectionError):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            sent += len(piece)
    writer.close()
    return sent


HALF_A_HEAD = GET + b"".join(b"X-%d: %s\r\n" % (number, b"y" * 1000) for number in range(25))


async def test_unfinished_heads_of_one_address_are_bounded_and_keep_no_whole_request_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connections, "HEADS_MAX_BYTES_ADDRESS", 3 * len(HALF_A_HEAD))
    async with served(answer_ok) as port, AsyncExitStack() as stack, asyncio.timeout(20):
        held = [await connected(stack, port, HALF_A_HEAD) for _ in range(4)]

        with suppress(ConnectionError):
            assert await held[3].read() == b""
        answer = await answer_to(port, REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

        assert answer.startswith(b"HTTP/1.1 200 ")
        assert not any(reader.at_eof() for reader in held[:3])
    assert "Unfinished request heads" in caplog.text


@pytest.mark.parametrize(
    "head",
    [
        GET + b"X-Large: " + b"x" * 60_000,
        GET + b"".join(b"X-%d: x\r\n" % number for number in range(HEADERS_MAX + 1)),
        b"\r\n" * 30_000,
        b"GET /" + b"x" * 60_000,
    ],
    ids=["one header", "many headers", "blank lines", "request line"],
)
async def test_a_head_that_is_too_large_is_answered_431_before_it_is_complete(head: bytes) -> None:
    async with served(answer_ok) as port:
        answer = await answer_to(port, head)

    assert b"HTTP/1.1 431 " in answer
    assert b'"code":"headers_too_large"' in answer
    assert b"frame-ancestors 'none'" in answer


async def test_trailers_without_an_end_close_the_connection() -> None:
    async with served(answer_ok) as port:
        answer = await answer_to(port, GET + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: ", b"x" * 10 * MIB)

    assert answer.count(b"HTTP/1.1 200 ") <= 1


@pytest.mark.parametrize(
    "half",
    [
        GET + b"X-Half: ",
        b"\r\n",
        POST_TOO_EARLY,
        REQUEST + GET,
        GET + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: ",
    ],
    ids=["head", "blank line", "body after the answer", "second head", "trailers"],
)
async def test_an_incomplete_request_is_closed_in_time_even_while_more_arrives(half: bytes) -> None:
    async with served(answer_ok, head_timeout_s=0.2) as port, asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(half)

        with suppress(ConnectionError):  # if the server closes before it has read everything
            while not reader.at_eof():
                writer.write(b"x")
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await reader.read(1000)
        writer.close()


async def test_pipelined_requests_are_answered_in_their_order_and_too_many_close_the_connection() -> None:
    last = GET + b"Connection: close\r\n\r\n"
    async with served(answer_ok) as port:
        answer = await answer_to(port, REQUEST * PIPELINED_MAX + last)
        too_many = await answer_to(port, REQUEST * 10_000)

    assert answer.count(b"HTTP/1.1 200 ") == PIPELINED_MAX + 1
    assert too_many.count(b"HTTP/1.1 200 ") <= PIPELINED_MAX + 1


async def test_a_stream_ends_with_its_connection_though_a_request_was_pipelined_after_it(flood: Flood) -> None:
    async with served(flood, send_timeout_s=0.1) as port:
        with socket.create_connection(("127.0.0.1", port)) as pipelining:
            pipelining.sendall(REQUEST * 2)

            async with asyncio.timeout(20):
                await flood.gone.wait()


async def test_an_http_1_0_client_gets_an_answer_without_chunks() -> None:
    async with served(answer_ok) as port:
        head, _, body = (await answer_to(port, b"GET / HTTP/1.0\r\n\r\n")).partition(b"\r\n\r\n")

    assert body == b"onetwo"
    assert b"chunked" not in head
    assert b"connection: close" in head


# --- how many connections ---------------------------------------------------------------------------------------------


async def connected(stack: AsyncExitStack, port: int, sent: bytes = b"") -> asyncio.StreamReader:
    """Open a connection that is closed with the stack, and send these bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    stack.callback(writer.close)
    writer.write(sent)
    return reader


async def opened(stack: AsyncExitStack, port: int, number: int) -> list[asyncio.StreamReader]:
    """Open connections that send nothing."""
    return [await connected(stack, port) for _ in range(number)]


async def test_the_longest_idle_connection_of_an_address_makes_room(caplog: pytest.LogCaptureFixture) -> None:
    async with served(answer_ok, max_connections=20) as port, AsyncExitStack() as stack, asyncio.timeout(20):
        first, *others = await opened(stack, port, 10)

        await opened(stack, port, 2)

        assert await first.read() == b""
        assert await others[0].read() == b""
        assert not others[1].at_eof()
    assert len([message for message in caplog.messages if "the limit for one address" in message]) == 1


async def test_a_connection_with_a_request_is_not_closed_for_others(flood: Flood) -> None:
    async with served(flood, max_connections=20) as port, AsyncExitStack() as stack, asyncio.timeout(20):
        reader = await connected(stack, port, REQUEST)
        await reader.read(1)

        await opened(stack, port, 30)

        for _ in range(100):
            assert await reader.read(len(CHUNK))


async def test_a_trusted_proxy_may_use_all_connections_but_no_more(caplog: pytest.LogCaptureFixture) -> None:
    proxies = (ip_network("127.0.0.0/8"),)
    async with (
        served(answer_ok, max_connections=20, trusted_proxies=proxies) as port,
        AsyncExitStack() as stack,
        asyncio.timeout(20),
    ):
        first, second, *_ = await opened(stack, port, 20)

        await opened(stack, port, 1)

        assert await first.read() == b""
        assert not second.at_eof()
    assert "20 connections are open" in caplog.text


async def test_with_256_files_300_idle_connections_stop_neither_the_service_nor_its_health_checks(
    hub: FakeHub, tmp_path: Path
) -> None:
    async with (
        replica(hub, f"sqlite:///{tmp_path}/hublaunch.sqlite", None, 256) as one,
        AsyncExitStack() as stack,
    ):
        await opened(stack, one.http.base_url.port or 0, 300)

        async with httpx.AsyncClient(base_url=one.http.base_url, trust_env=False, timeout=15) as other:
            assert (await other.get("/healthz")).status_code == 200
            assert (await other.get("/readyz")).json()["ready"]
        last = (await events(one, await launch(one)))[-1]

    assert last["phase"] == "ready"
    assert "open connections, the limit for one address" in one.logs[0]
