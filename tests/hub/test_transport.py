"""httpx's API over aiohttp: what was sent is told from what was not, and nothing happens behind one's back."""

import asyncio
import ssl
from collections.abc import AsyncGenerator

import httpx
import pytest

from app.hub.transport import AiohttpTransport
from tests.fakes.wire import Answer, says, wire

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HEAD = b"HTTP/1.1 200 OK\r\n"
SECRET = {"Authorization": "token hunter2"}


@pytest.fixture
async def http() -> AsyncGenerator[httpx.AsyncClient]:
    transport = AiohttpTransport(ssl_context=ssl.create_default_context())
    async with httpx.AsyncClient(transport=transport, trust_env=False, timeout=httpx.Timeout(5, read=0.3)) as http:
        yield http


async def test_an_answer_arrives_with_status_headers_and_body(http: httpx.AsyncClient) -> None:
    answer = says(b"HTTP/1.1 418 Short\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 4\r\n\r\nbody")
    async with wire(answer) as server:
        response = await http.get(server.url)

    assert (response.status_code, response.reason_phrase, response.content) == (418, "Short", b"body")
    assert response.headers.get_list("X-A") == ["1", "2"]


async def test_an_answer_of_single_bytes_arrives_whole(http: httpx.AsyncClient) -> None:
    async with wire(says(*[bytes([byte]) for byte in OK])) as server:
        assert (await http.get(server.url)).text == "ok"


async def test_nothing_listening_was_not_sent(http: httpx.AsyncClient) -> None:
    async with wire(says(OK)) as server:
        pass

    with pytest.raises(httpx.ConnectError):
        await http.post(server.url)


async def test_an_unknown_host_was_not_sent(http: httpx.AsyncClient) -> None:
    with pytest.raises(httpx.ConnectError):
        await http.get("http://no-such-host.invalid/")


async def test_a_failed_tls_handshake_was_not_sent(http: httpx.AsyncClient) -> None:
    async def speak_no_tls(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(speak_no_tls, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(httpx.ConnectError):
            await http.get(f"https://127.0.0.1:{port}/")


@pytest.mark.parametrize(
    "answer",
    [
        says(then="close"),
        says(then="reset"),
        says(b"HTTP/1.1 2", then="close"),
        says(b"HTTP/1.1 2", then="reset"),
        says(HEAD + b"X-Half: ", then="close"),
        says(HEAD + b"Content-Length: 9\r\n\r\nhalf", then="close"),
        says(HEAD + b"Content-Length: 9\r\n\r\nhalf", then="reset"),
        says(HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", then="close"),
        says(HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", then="reset"),
        says(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", then="close"),
        says(b"\x00\x01\x02 garbage\r\n\r\n", then="close"),
        says(HEAD + b"X-Huge: " + b"x" * 100_000 + b"\r\n\r\n", then="close"),
        says(then="hang"),
        says(HEAD, then="hang"),
        says(HEAD + b"Content-Length: 9\r\n\r\nhalf", then="hang"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_what_breaks_after_sending_is_never_called_unsent_and_never_repeated(
    http: httpx.AsyncClient, answer: Answer, method: str
) -> None:
    async with wire(answer) as server:
        with pytest.raises(httpx.TransportError) as caught:
            await http.request(method, server.url, headers=SECRET)

    assert not isinstance(caught.value, httpx.ConnectError | httpx.ConnectTimeout)
    assert caught.value.request.method == method
    assert len(server.requests) == 1
    assert "hunter2" not in repr(caught.value)


async def test_a_kept_connection_that_turns_out_closed_is_not_asked_again(http: httpx.AsyncClient) -> None:
    answers = iter([says(OK), says(then="reset"), says(OK)])

    async def in_turn(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await next(answers)(reader, writer)

    async with wire(in_turn) as server:
        await http.get(server.url)
        with pytest.raises(httpx.TransportError):
            await http.get(server.url)

    assert len(server.requests) == 2


async def test_a_hang_is_a_read_timeout(http: httpx.AsyncClient) -> None:
    async with wire(says(HEAD + b"Content-Length: 9\r\n\r\nhalf", then="hang")) as server:
        with pytest.raises(httpx.ReadTimeout):
            await http.get(server.url)


async def test_a_response_that_was_read_gives_its_connection_back(http: httpx.AsyncClient) -> None:
    async with wire(says(OK)) as server:
        for _ in range(3):
            await http.get(server.url)

    assert server.connections == 1


async def test_a_stream_that_is_left_early_closes_its_connection(http: httpx.AsyncClient) -> None:
    async with wire(says(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n", then="hang")) as server:
        async with http.stream("GET", server.url) as response:
            async for _ in response.aiter_raw():
                break
        async with asyncio.timeout(2), http.stream("GET", server.url):
            pass

    assert server.connections == 2


async def test_a_call_that_is_cancelled_closes_its_connection(http: httpx.AsyncClient) -> None:
    gone = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await reader.read()
        gone.set()

    arrived = asyncio.Event()
    async with wire(hang) as server:
        call = asyncio.create_task(http.get(server.url))
        await arrived.wait()
        call.cancel()
        async with asyncio.timeout(2):
            await gone.wait()


async def test_nothing_is_added_kept_followed_or_unpacked(http: httpx.AsyncClient) -> None:
    redirect = b"HTTP/1.1 302 Found\r\nLocation: /else\r\nSet-Cookie: a=1\r\nContent-Length: 0\r\n\r\n"
    async with wire(says(redirect)) as server:
        request = httpx.Request("GET", f"{server.url}/a%2Fb/@~?q=%20x")
        assert (await http.send(request)).status_code == 302
        assert (await http.get(server.url)).status_code == 302

    assert server.requests[0].startswith(b"GET /a%2Fb/@~?q=%20x HTTP/1.1\r\n")
    assert b"user-agent" not in server.requests[0].lower()
    assert b"cookie" not in server.requests[1].lower()
    assert len(server.requests) == 2


async def test_a_hundred_and_fifty_streams_at_once_meet_no_limit(http: httpx.AsyncClient) -> None:
    chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n"
    everyone = asyncio.Barrier(150)

    async def follow(url: str) -> None:
        async with http.stream("GET", url, timeout=5):
            await everyone.wait()

    async with wire(says(chunked, then="hang")) as server, asyncio.timeout(10):
        await asyncio.gather(*(follow(server.url) for _ in range(150)))
