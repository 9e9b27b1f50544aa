"""The transport: its requests and responses, and the connections that it reuses."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest

from hublaunch.wire.transport import WireTransport
from tests.fakes.certificates import server_context, write_certificate
from tests.fakes.wire import WireConnection, WireServer

TOKEN = "hunter2hunter2hunter2"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(scope="session")
def trusted_context() -> ssl.SSLContext:
    return ssl.create_default_context()


@pytest.fixture
async def http(trusted_context: ssl.SSLContext) -> AsyncGenerator[httpx.AsyncClient]:
    transport = WireTransport(ssl_context=trusted_context)
    async with httpx.AsyncClient(transport=transport, trust_env=False) as client:
        yield client


async def answer_all(connection: WireConnection) -> None:
    while await connection.read_request():
        await connection.send(OK)


async def stream_without_end(connection: WireConnection) -> None:
    await connection.read_request()
    await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
    await connection.until_closed()


async def test_a_request_arrives_as_httpx_wrote_it(http: httpx.AsyncClient) -> None:
    headers = {"Authorization": f"token {TOKEN}", "User-Agent": "hublaunch"}

    async with WireServer(answer_all) as server:
        request = http.build_request(
            "POST", f"{server.url}/hub/api/users/a%2Fb%20c/server?x=%2F&y=a+b", headers=headers, json={"a": 1}
        )
        response = await http.send(request)

    assert (response.status_code, response.text, response.reason_phrase) == (200, "ok", "OK")
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    assert first == b"POST /hub/api/users/a%2Fb%20c/server?x=%2F&y=a+b HTTP/1.1"
    assert sorted(lines) == sorted(name + b": " + value for name, value in request.headers.raw)
    assert body == b'{"a":1}'


async def test_a_target_replaces_the_path_of_the_url(http: httpx.AsyncClient) -> None:
    async with WireServer(answer_all) as server:
        await http.get(f"{server.url}/a", extensions={"target": b"/b%20c?d=e"})

    assert server.requests[0].startswith(b"GET /b%20c?d=e HTTP/1.1\r\n")


async def test_a_cookie_is_not_kept(trusted_context: ssl.SSLContext) -> None:
    async def set_cookie(connection: WireConnection) -> None:
        while await connection.read_request():
            await connection.send(b"HTTP/1.1 204 No Content\r\nSet-Cookie: session=abc; Path=/\r\n\r\n")

    async with WireServer(set_cookie) as server, WireTransport(ssl_context=trusted_context) as transport:
        url = server.url.replace("127.0.0.1", "localhost")  # a cookie jar ignores IP addresses
        for _ in range(2):
            response = await transport.handle_async_request(httpx.Request("GET", url))
            await response.aread()

    assert response.headers["Set-Cookie"] == "session=abc; Path=/"
    assert b"cookie" not in server.requests[1].lower()


async def test_a_compressed_body_is_decoded_once(http: httpx.AsyncClient) -> None:
    body = gzip.compress(b'{"name": "alice"}')

    async def compressed(connection: WireConnection) -> None:
        await connection.read_request()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body))
        await connection.send(body)

    async with WireServer(compressed) as server:
        response = await http.get(server.url)

    assert response.json() == {"name": "alice"}
    assert response.headers["Content-Encoding"] == "gzip"


@pytest.mark.parametrize(
    "answer",
    [
        OK,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 \r\nContent-Length: 2\r\nX: " + b"x" * 4_000 + b"\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\n\r\nok",
    ],
    ids=["length", "chunked", "continue-and-a-large-header", "until-the-connection-ends"],
)
async def test_a_response_in_single_bytes_is_complete(http: httpx.AsyncClient, answer: bytes) -> None:
    async def drip(connection: WireConnection) -> None:
        await connection.read_request()
        await connection.send_bytewise(answer)

    async with WireServer(drip) as server:
        response = await http.get(server.url)

    assert (response.status_code, response.text) == (200, "ok")


async def test_a_response_read_to_its_end_leaves_its_connection_to_the_next_request(http: httpx.AsyncClient) -> None:
    async with WireServer(answer_all) as server:
        for _ in range(3):
            await http.post(server.url, json={})
        async with http.stream("GET", server.url) as response:
            await response.aread()
        await http.get(server.url)

    assert (server.connections, len(server.requests)) == (1, 5)


async def test_an_idle_connection_closed_by_the_server_is_not_reused(http: httpx.AsyncClient) -> None:
    async def once(connection: WireConnection) -> None:
        await connection.read_request()
        await connection.send(OK)
        connection.finish_sending()
        await connection.until_closed()

    async with WireServer(once) as server:
        await http.get(server.url)
        await server.closed_by_client.wait()
        response = await http.get(server.url)

    assert response.status_code == 200
    assert (server.connections, len(server.requests)) == (2, 2)


async def test_a_stream_closed_before_its_end_closes_its_connection(http: httpx.AsyncClient) -> None:
    async with WireServer(stream_without_end) as server:
        async with http.stream("GET", server.url) as response:
            assert await anext(response.aiter_bytes()) == b"one"

        await server.closed_by_client.wait()

    assert server.connections == 1


async def test_a_call_cancelled_before_its_answer_closes_its_connection(http: httpx.AsyncClient) -> None:
    async def silent(connection: WireConnection) -> None:
        await connection.read_request()
        arrived.set()
        await connection.until_closed()

    arrived = asyncio.Event()
    async with WireServer(silent) as server:
        call = asyncio.create_task(http.post(server.url, json={}))
        await arrived.wait()

        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

        await server.closed_by_client.wait()


async def test_a_call_cancelled_within_its_answer_closes_its_connection(http: httpx.AsyncClient) -> None:
    async with WireServer(stream_without_end) as server:
        async with http.stream("GET", server.url) as response:
            chunks = response.aiter_bytes()
            await anext(chunks)
            rest = asyncio.ensure_future(anext(chunks))
            await asyncio.sleep(0)

            rest.cancel()
            with pytest.raises(asyncio.CancelledError):
                await rest

        await server.closed_by_client.wait()


async def test_closing_the_client_ends_open_streams_with_an_error(trusted_context: ssl.SSLContext) -> None:
    transport = WireTransport(ssl_context=trusted_context)

    async with WireServer(stream_without_end) as server:
        async with httpx.AsyncClient(transport=transport) as http:
            response = await http.send(http.build_request("GET", server.url), stream=True)

        with pytest.raises(httpx.ReadError):
            await response.aread()
        await response.aclose()

        await server.closed_by_client.wait()


async def test_the_number_of_open_streams_is_not_limited(http: httpx.AsyncClient) -> None:
    async with WireServer(stream_without_end) as server:
        requests = [http.build_request("GET", server.url) for _ in range(150)]
        responses = await asyncio.gather(*(http.send(request, stream=True) for request in requests))
        open_at_once = server.connections
        await asyncio.gather(*(response.aclose() for response in responses))

    assert open_at_once == 150


async def test_a_certificate_authority_and_a_client_certificate_are_used(tmp_path: Path) -> None:
    hub, client = write_certificate(tmp_path, "hub"), write_certificate(tmp_path, "client")
    trust_hub = ssl.create_default_context(cafile=hub[0])
    trust_hub.load_cert_chain(*client)

    async with (
        WireServer(answer_all, ssl_context=server_context(*hub, client_ca_file=client[0])) as server,
        httpx.AsyncClient(transport=WireTransport(ssl_context=trust_hub)) as http,
    ):
        response = await http.get(server.url)

    assert response.text == "ok"
