"""A web server that answers by path, like an ingress or proxy in front of the Hub, and records its requests."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType

from tests.fakes.wire import WireConnection, WireServer


def http(status: int, body: bytes = b"", *, headers: Mapping[str, str] = MappingProxyType({})) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{lines}\r\n".encode() + body


def redirect(location: str, *, status: int = 302, headers: Mapping[str, str] = MappingProxyType({})) -> bytes:
    return http(status, headers={"Location": location, **headers})


NOT_FOUND = http(404, b"<html>404 Not Found</html>")


class Front:
    """A running web server that answers by path, and its requests."""

    def __init__(self, server: WireServer) -> None:
        self.url = f"{server.url}/"
        self._server = server

    @property
    def asked(self) -> list[tuple[str, str]]:
        """The path and the Host header of each request."""
        heads = [request.decode().split("\r\n") for request in self._server.requests]
        return [
            (head[0].split()[1], next(line[6:] for line in head if line.lower().startswith("host: "))) for head in heads
        ]


@asynccontextmanager
async def front(answers: Mapping[str, bytes], *, otherwise: bytes = NOT_FOUND) -> AsyncGenerator[Front]:
    server: WireServer

    async def answer(connection: WireConnection) -> None:
        while await connection.read_request():
            path = server.requests[-1].split()[1].decode()
            await connection.send(answers.get(path, otherwise))

    server = WireServer(answer)
    async with server:
        yield Front(server)
