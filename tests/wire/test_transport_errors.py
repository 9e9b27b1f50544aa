"""The httpx error for each fault on the wire, and the number of requests that arrived."""

import asyncio
import socket
import ssl
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from hublaunch.wire.transport import WireTransport
from tests.fakes.certificates import server_context, write_certificate
from tests.fakes.wire import Script, WireConnection, WireServer

TOKEN = "hunter2hunter2hunter2"
HEAD = b"HTTP/1.1 200 OK\r\n"
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout)


@pytest.fixture(scope="session")
def trusted_context() -> ssl.SSLContext:
    return ssl.create_default_context()


@pytest.fixture
async def http(trusted_context: ssl.SSLContext) -> AsyncGenerator[httpx.AsyncClient]:
    transport, headers = WireTransport(ssl_context=trusted_context), {"Authorization": f"token {TOKEN}"}
    timeout = httpx.Timeout(10, read=0.2)
    async with httpx.AsyncClient(transport=transport, headers=headers, timeout=timeout, trust_env=False) as client:
        yield client


def after_the_request(act: Callable[[WireConnection], Awaitable[None]]) -> Script:
    async def script(connection: WireConnection) -> None:
        await connection.read_request()
        await act(connection)

    return script


def sending(content: bytes) -> Script:
    """Return a script that sends this after the request, then closes."""
    return after_the_request(lambda connection: connection.send(content))


def sending_and_hanging(content: bytes) -> Script:
    async def act(connection: WireConnection) -> None:
        await connection.send(content)
        await connection.until_closed()

    return after_the_request(act)


def sending_and_resetting(content: bytes) -> Script:
    async def act(connection: WireConnection) -> None:
        await connection.send(content)
        connection.reset()

    return after_the_request(act)


async def close_immediately(connection: WireConnection) -> None:
    """Close the connection by ending the script."""


async def reset_immediately(connection: WireConnection) -> None:
    connection.reset()


async def hang(connection: WireConnection) -> None:
    await connection.until_closed()


def chain(error: BaseException | None) -> list[BaseException]:
    if error is None:
        return []
    return [error, *chain(error.__cause__), *chain(error.__context__)]


def assert_tells_no_token(error: httpx.RequestError) -> None:
    assert error.request.headers["Authorization"] == f"token {TOKEN}"
    shown = "".join(traceback.format_exception(error)) + "".join(f"{link!r}{link}" for link in chain(error))
    assert TOKEN not in shown
    assert str(error)


FAULTS = {
    "closes": (sending(b""), httpx.RemoteProtocolError),
    "resets": (sending_and_resetting(b""), httpx.ReadError),
    "closes-in-the-status-line": (sending(HEAD[:6]), httpx.RemoteProtocolError),
    "closes-in-the-headers": (sending(HEAD + b"Content-Le"), httpx.RemoteProtocolError),
    "resets-in-the-headers": (sending_and_resetting(HEAD + b"Content-Le"), httpx.ReadError),
    "other-protocol": (sending(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), httpx.RemoteProtocolError),
    "garbage": (sending(b"\x00\xff\x16\x03\x01 garbage\r\n\r\n"), httpx.RemoteProtocolError),
    "header-too-large": (sending(HEAD + b"X: " + b"x" * 200_000 + b"\r\n\r\n"), httpx.RemoteProtocolError),
    "too-many-headers": (sending(HEAD + b"X: 1\r\n" * 500 + b"\r\n"), httpx.RemoteProtocolError),
    "length-is-no-number": (sending(HEAD + b"Content-Length: many\r\n\r\n"), httpx.RemoteProtocolError),
    "header-without-colon": (sending(HEAD + b"bad header\x00\r\n\r\n"), httpx.RemoteProtocolError),
    "malformed-chunk": (
        sending_and_hanging(HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\none\r\nxyz\r\n"),
        httpx.RemoteProtocolError,
    ),
    "hangs": (sending_and_hanging(b""), httpx.ReadTimeout),
    "hangs-in-the-headers": (sending_and_hanging(HEAD + b"Content-Le"), httpx.ReadTimeout),
}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(("script", "expected"), FAULTS.values(), ids=FAULTS)
async def test_a_fault_after_the_request_arrived_is_not_a_connect_error(
    http: httpx.AsyncClient, method: str, script: Script, expected: type[httpx.RequestError]
) -> None:
    async with WireServer(script) as server:
        with pytest.raises(expected) as raised:
            await http.request(method, server.url, content=b"{}" if method == "POST" else None)

    assert type(raised.value) is expected
    assert len(server.requests) == 1
    assert_tells_no_token(raised.value)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("ending", [close_immediately, reset_immediately])
async def test_a_connection_lost_while_sending_is_not_a_connect_error(
    http: httpx.AsyncClient, method: str, ending: Script
) -> None:
    async def end_in_the_request(connection: WireConnection) -> None:
        await connection._reader.readexactly(1)
        await ending(connection)

    async with WireServer(end_in_the_request) as server:
        with pytest.raises((httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)) as raised:
            await http.request(method, server.url, content=b"{}")

    assert server.connections == 1
    assert_tells_no_token(raised.value)


@pytest.mark.parametrize(
    ("head", "first"),
    [(b"Content-Length: 10\r\n\r\n", b"one"), (b"Transfer-Encoding: chunked\r\n\r\n3\r\n", b"one\r\n")],
    ids=["length", "chunked"],
)
@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        (close_immediately, httpx.RemoteProtocolError),
        (hang, httpx.ReadTimeout),
        (reset_immediately, httpx.RemoteProtocolError),
    ],
    ids=["closes", "hangs", "resets"],
)
async def test_a_truncated_body_is_an_error_after_its_chunks(
    http: httpx.AsyncClient, head: bytes, first: bytes, ending: Script, expected: type[httpx.RequestError]
) -> None:
    seen: list[bytes] = []
    read = asyncio.Event()

    async def half_a_body(connection: WireConnection) -> None:
        await connection.send(HEAD + head + first)
        await read.wait()
        await ending(connection)

    async def read_on(url: str) -> None:
        async with http.stream("GET", url) as response:
            async for chunk in response.aiter_bytes():
                seen.append(chunk)
                read.set()

    async with WireServer(after_the_request(half_a_body)) as server:
        with pytest.raises(expected) as raised:
            await read_on(server.url)

    assert seen == [b"one"]
    assert len(server.requests) == 1
    assert_tells_no_token(raised.value)


async def test_every_chunk_restarts_the_read_timeout(http: httpx.AsyncClient) -> None:
    async def slow(connection: WireConnection) -> None:
        await connection.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(5):
            await asyncio.sleep(0.08)
            await connection.send(b"1\r\nx\r\n")
        await connection.send(b"0\r\n\r\n")

    async with WireServer(after_the_request(slow)) as server:
        response = await http.get(server.url)

    assert response.text == "xxxxx"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
async def test_a_request_on_a_reused_connection_that_breaks_is_sent_only_once(
    http: httpx.AsyncClient, method: str
) -> None:
    async def answer_the_first(connection: WireConnection) -> None:
        await connection.read_request()
        await connection.send(HEAD + b"Content-Length: 0\r\n\r\n")
        await connection.read_request()

    async with WireServer(answer_the_first) as server:
        await http.get(server.url)
        with pytest.raises(httpx.RemoteProtocolError):
            await http.request(method, server.url)

    assert (server.connections, len(server.requests)) == (1, 2)


async def test_a_refused_connection_is_a_connect_error(http: httpx.AsyncClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed_soon:
        port = closed_soon.getsockname()[1]

    with pytest.raises(httpx.ConnectError) as raised:
        await http.post(f"http://127.0.0.1:{port}/", json={})

    assert f"127.0.0.1:{port}" in str(raised.value)
    assert_tells_no_token(raised.value)


async def test_an_unknown_host_is_a_connect_error(http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    with pytest.raises(httpx.ConnectError) as raised:
        await http.get("http://hub.invalid/")

    assert_tells_no_token(raised.value)


@pytest.mark.parametrize("host", ["a" * 64, "a..b"])
async def test_an_invalid_host_name_is_a_connect_error(http: httpx.AsyncClient, host: str) -> None:
    with pytest.raises(httpx.ConnectError) as raised:
        await http.get(f"http://{host}/")

    assert_tells_no_token(raised.value)


async def test_an_untrusted_certificate_is_a_connect_error(http: httpx.AsyncClient, tmp_path: Path) -> None:
    context = server_context(*write_certificate(tmp_path, "hub"))

    async with WireServer(close_immediately, ssl_context=context) as server:
        with pytest.raises(httpx.ConnectError) as raised:
            await http.get(server.url)

    assert server.requests == []
    assert_tells_no_token(raised.value)


@pytest.mark.parametrize("script", [close_immediately, reset_immediately, sending(b"HTTP/1.1 400 Bad Request\r\n\r\n")])
async def test_a_server_without_tls_is_a_connect_error(http: httpx.AsyncClient, script: Script) -> None:
    async with WireServer(script) as server:
        with pytest.raises(NOT_SENT) as raised:
            await http.get(server.url.replace("http:", "https:"), timeout=httpx.Timeout(0.2))

    assert server.requests == []
    assert_tells_no_token(raised.value)


async def test_a_slow_connection_is_a_connect_timeout(http: httpx.AsyncClient) -> None:
    async with WireServer(hang) as server:
        with pytest.raises(httpx.ConnectTimeout) as raised:
            await http.get(server.url.replace("http:", "https:"), timeout=httpx.Timeout(10, connect=0.1))

        await server.closed_by_client.wait()

    assert_tells_no_token(raised.value)


async def test_a_read_timeout_of_zero_is_not_infinite(http: httpx.AsyncClient) -> None:
    async with WireServer(sending_and_hanging(b"")) as server:
        with pytest.raises(httpx.ReadTimeout):
            await http.get(server.url, timeout=httpx.Timeout(10, read=0))


@pytest.mark.filterwarnings("ignore:Sending a large body")
async def test_a_body_that_the_server_does_not_read_is_a_write_timeout(http: httpx.AsyncClient) -> None:
    release = asyncio.Event()

    async def reads_nothing(connection: WireConnection) -> None:
        await release.wait()

    async with WireServer(reads_nothing) as server:
        with pytest.raises(httpx.WriteTimeout) as raised:
            await http.post(server.url, content=b"x" * 16_000_000, timeout=httpx.Timeout(10, write=0.2))
        release.set()

    assert_tells_no_token(raised.value)


@pytest.mark.parametrize("value", [b"a\r\nb", b"a\n", b"\xff\xfe"])
async def test_an_invalid_header_is_never_sent(http: httpx.AsyncClient, value: bytes) -> None:
    async with WireServer(sending(b"")) as server:
        with pytest.raises(httpx.LocalProtocolError) as raised:
            await http.get(server.url, headers={b"X": value})

    assert server.requests == []
    assert_tells_no_token(raised.value)
