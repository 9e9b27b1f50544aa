"""The stage of browser tests: a real Hub whose servers wait at gates, hublaunch beside it, pages of other origins."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlencode

from playwright.async_api import Page

from tests.hubs.mortal import MortalHub
from tests.hubs.quick_server import GATED_IMAGE

HELD = "Finding a machine for the server"
"""What pages show of a server that waits at its gate."""
_POLL_S = 0.05
_WITHIN_S = 30


@dataclass(frozen=True)
class Stage:
    """A Hub and a hublaunch. Each test launches a repository of its own, known by its name."""

    hub: MortalHub
    url: str
    """The base URL of hublaunch, ending in `/`."""

    def link(self, name: str, *, image: str = GATED_IMAGE, **more: str) -> str:
        """Return a launch link."""
        return f"{self.url}?{urlencode({'image': image, 'repo_url': repo(name), **more})}"

    async def users(self, name: str) -> list[str]:
        """Return the Hub's users of this repository's launches: one for each launch."""
        return [user for user in await self.hub.users() if user.startswith(f"tests-{name}-")]

    async def spawning(self, name: str) -> str:
        """Return the user of the only launch, once their server waits at its gate."""
        async with asyncio.timeout(_WITHIN_S):
            while not (users := await self.users(name)) or not self.process_of(users[0]):  # noqa: ASYNC110
                await asyncio.sleep(_POLL_S)
        [user] = users
        return user

    async def gone(self, name: str) -> None:
        """Return once the Hub has deleted this launch's user."""
        async with asyncio.timeout(_WITHIN_S):
            while await self.users(name):  # noqa: ASYNC110 - the Hub tells nobody
                await asyncio.sleep(_POLL_S)

    def process_of(self, user: str) -> int | None:
        """Return the process of the user's server."""
        record = self.hub.state / f"server-of-{user}"
        text = record.read_text() if record.exists() else ""
        return int(text.split()[0]) if text else None


def repo(name: str) -> str:
    return f"https://example.org/tests/{name}"


@dataclass
class Origin:
    """A web server of another origin, for pages that a test writes."""

    port: int = 0
    pages: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    requests: list[bytes] = field(default_factory=list)
    """The head of each request, as received."""

    def put(self, path: str, content: str | bytes, *, kind: str = "text/html; charset=utf-8") -> None:
        self.pages[path] = (kind, content.encode() if isinstance(content, str) else content)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.requests.append(head)
        path = head.split(b" ", 2)[1].decode().partition("?")[0]
        kind, content = self.pages.get(path, ("text/plain", b""))
        writer.write(
            f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n"
            "Connection: close\r\n\r\n".encode()
            + content
        )
        await writer.drain()
        writer.close()


@asynccontextmanager
async def origin() -> AsyncGenerator[Origin]:
    served = Origin()
    async with await asyncio.start_server(served.answer, "127.0.0.1", 0) as server:
        served.port = server.sockets[0].getsockname()[1]
        yield served


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(directory: Path) -> Generator[int]:
    """Serve the files of a directory, and yield the port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(directory))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()


def watch(page: Page) -> list[str]:
    """Return a list to which the browser adds script errors and violations of the Content-Security-Policy.

    Failed and missing answers are left to the page's scripts, and JupyterLab's own messages do not count.
    """
    complaints: list[str] = []

    def note(text: str) -> None:
        if "/user/" not in page.url and not text.startswith("Failed to load resource"):
            complaints.append(text)

    page.on("pageerror", lambda error: note(str(error)))
    page.on("console", lambda said: note(said.text) if said.type in ("error", "warning") else None)
    return complaints


def requests_of(page: Page) -> list[tuple[str, str]]:
    """Yield the method and the origin of each request that the page sends."""
    requests: list[tuple[str, str]] = []
    page.on("request", lambda request: requests.append((request.method, "/".join(request.url.split("/")[:3]))))
    return requests
