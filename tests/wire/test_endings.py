"""What ends an answer and closes its connection: time, cancellation, and the server."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import httpx
import pytest
import uvloop

from hublaunch.wire.transport import WireTransport
from tests.fakes.wire import Flood, WireConnection, WireServer, dripping
from tests.wire.asking import LOOPS, answer_all, ask, full, tls_of


@pytest.fixture
async def transport() -> AsyncGenerator[WireTransport]:
    async with WireTransport() as transport:
        yield transport


async def test_a_head_that_never_ends_is_a_read_timeout(transport: WireTransport) -> None:
    async with WireServer(dripping(b"HTTP/1.1 200 OK\r\nX: ")) as server:
        with pytest.raises(httpx.ReadTimeout):
            await ask(transport, server.url, read=0.2)


async def test_a_body_that_never_ends_is_a_read_timeout_after_the_total_time(transport: WireTransport) -> None:
    async with WireServer(dripping(b"HTTP/1.1 200 OK\r\n\r\n")) as server:
        with pytest.raises(httpx.ReadTimeout):
            await ask(transport, server.url, read=5, total=0.3)


async def test_a_trailer_that_never_ends_is_a_read_timeout(transport: WireTransport) -> None:
    async with WireServer(dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ")) as server:
        with pytest.raises(httpx.ReadTimeout):
            await ask(transport, server.url, read=0.2, total=5)


async def test_the_total_time_covers_the_connection(transport: WireTransport) -> None:
    with full("127.0.0.1") as port:
        async with asyncio.timeout(5):
            with pytest.raises(httpx.ConnectTimeout):
                await ask(transport, f"http://127.0.0.1:{port}/", total=0.1)


@pytest.mark.parametrize("loop_factory", LOOPS, ids=["asyncio", "uvloop"])
def test_a_body_until_the_connection_ends_is_whole_only_with_the_end_of_tls(
    loop_factory: Callable[[], asyncio.AbstractEventLoop], tmp_path: Path
) -> None:
    async def end(connection: WireConnection) -> None:
        await connection.read_request()
        await connection.send(b"HTTP/1.1 200 OK\r\n\r\nwhole")

    async def cut(connection: WireConnection) -> None:
        await connection.read_request()
        await connection.send(b"HTTP/1.1 200 OK\r\n\r\nhal")
        connection.cut()

    async def work() -> None:
        of_server, of_client = tls_of(tmp_path)
        async with WireTransport(ssl_context=of_client) as transport:
            async with WireServer(end, ssl_context=of_server) as server:
                assert (await ask(transport, server.url)).text == "whole"
            async with WireServer(cut, ssl_context=of_server) as server:
                with pytest.raises(httpx.RemoteProtocolError):
                    await ask(transport, server.url)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(work())


async def test_a_body_that_nobody_reads_stays_with_the_server(transport: WireTransport) -> None:
    flood = Flood(b"HTTP/1.1 200 OK\r\n\r\n")
    async with WireServer(flood) as server:
        response = await transport.handle_async_request(httpx.Request("GET", server.url))
        before = -1
        while flood.sent != before:
            before = flood.sent
            await asyncio.sleep(0.1)
        assert isinstance(response.stream, httpx.AsyncByteStream)
        held = len(await anext(aiter(response.stream)))
        await response.stream.aclose()

    assert held < 2**20
    assert flood.sent < 32 * 2**20  # what the system's buffers hold


@pytest.mark.parametrize("loop_factory", LOOPS, ids=["asyncio", "uvloop"])
def test_a_call_cancelled_at_any_moment_leaves_no_connection(
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def hang(connection: WireConnection) -> None:
        await connection.until_closed()

    async def work() -> None:
        async with WireServer(hang) as server:
            async with WireTransport() as transport:
                for turns in range(30):
                    call = asyncio.create_task(ask(transport, server.url))
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    call.cancel()
                    await asyncio.gather(call, return_exceptions=True)
            for _ in range(10):
                await asyncio.sleep(0)

        assert server.connections
        assert not transport._pool._open

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(work())


async def test_a_closed_transport_sends_nothing() -> None:
    async with WireServer(answer_all) as server:
        async with WireTransport() as transport:
            await ask(transport, server.url)

        with pytest.raises(httpx.ConnectError):
            await ask(transport, server.url)

    assert len(server.requests) == 1


def test_everything_works_on_uvloop_too() -> None:
    async def slow(connection: WireConnection) -> None:
        await connection.read_request()
        await connection.send(b"HTTP/1.1 200 OK\r\n\r\none")
        arrived.set()
        await connection.until_closed()

    async def unread(connection: WireConnection) -> None:
        await release.wait()

    async def work() -> None:
        async with WireTransport() as transport:
            async with WireServer(answer_all) as server:
                for _ in range(3):
                    assert (await ask(transport, server.url, method="POST", content=b"{}")).text == "ok"
                assert server.connections == 1
            async with WireServer(slow) as server:
                response = await transport.handle_async_request(httpx.Request("GET", server.url))
                assert isinstance(response.stream, httpx.AsyncByteStream)
                assert await anext(aiter(response.stream)) == b"one"
                await response.stream.aclose()
                await server.closed_by_client.wait()
            async with WireServer(slow) as server:
                call = asyncio.create_task(ask(transport, server.url))
                arrived.clear()
                await arrived.wait()
                call.cancel()
                await asyncio.gather(call, return_exceptions=True)
                await server.closed_by_client.wait()
            async with WireServer(unread) as server:
                with pytest.raises((httpx.WriteTimeout, httpx.ReadTimeout)):
                    await ask(transport, server.url, method="POST", content=b"x" * 16_000_000, write=0.2, read=0.2)
                release.set()

    arrived, release = asyncio.Event(), asyncio.Event()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work())
