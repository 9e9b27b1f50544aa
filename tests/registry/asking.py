"""A client of registries, whose names lead where a test wants, and registries that answer with given bytes."""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from hublaunch.launch.rules.image import ImageReference
from hublaunch.launch.rules.preflight import RegistryAnswer
from hublaunch.registry.client import RegistryClient
from hublaunch.registry.connect import connect_registries
from hublaunch.wire.addresses import Resolve, system_addresses
from tests.fakes.wire import WireConnection, WireServer

DIGEST = f"sha256:{'ab' * 32}"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
UNKNOWN_MANIFEST = json.dumps({"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}).encode()

Respond = Callable[[str, str, dict[str, str]], bytes]
"""Takes the method, the target and the headers (in lower case) of a request; returns the bytes of the answer."""


class Names:
    """Resolves the names that it is given, each to its addresses."""

    def __init__(self, **addresses: Sequence[str]) -> None:
        self.addresses = {name.replace("_", "."): found for name, found in addresses.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        if host not in self.addresses:
            raise OSError("no such host")
        return self.addresses[host]


@asynccontextmanager
async def client_of(
    *patterns: str, names: Resolve = system_addresses, config: Path | None = None, platforms: Sequence[str] = ()
) -> AsyncGenerator[RegistryClient]:
    connecting = connect_registries(patterns=lambda: patterns, config=config, platforms=platforms, resolve=names)
    async with connecting as client:
        yield client


async def ask(client: RegistryClient, image: str) -> RegistryAnswer:
    return await client.look_up(ImageReference.parse(image))


def response(status: int, body: bytes = b"", **headers: str) -> bytes:
    """Return the bytes of an answer; `_` in a header's name is `-`."""
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def found(digest: str = DIGEST) -> bytes:
    """Return the answer to HEAD for an image that exists."""
    return response(200, Docker_Content_Digest=digest, Content_Type=MANIFEST)


def answering(respond: Respond) -> Callable[[WireConnection], Awaitable[None]]:
    """Return a script that answers each request of a connection."""

    async def script(connection: WireConnection) -> None:
        while await connection.read_request():
            lines = connection._server.requests[-1].decode().split("\r\n")
            method, target, _ = lines[0].split(" ")
            headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
            sent = respond(method, target, headers)
            await connection.send(sent.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if method == "HEAD" else sent)

    return script


def name_of(server: WireServer) -> str:
    """Return the server's name as a registry: its address with its port."""
    return server.url.partition("://")[2]
