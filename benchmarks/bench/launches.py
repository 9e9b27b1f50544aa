"""The same launch four times: by hublaunch as a library and as a service, by bare aiohttp, by BinderHub's engine.

Each makes the same calls in the same order: the user; then the visitor's token and the start of the server side by
side, with the progress beside them; then the server itself is asked. The Hub answers the start at once with 202.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

IMAGE = "quay.io/jupyter/base-notebook:latest"
REPO_URL = "https://example.org/org/repo"

Launch = Callable[[str, Callable[[], None]], Coroutine[Any, Any, None]]
"""Launches for the user of this name, who does not exist yet, and returns when the server is ready.

The second is called with each event of the Hub's progress.
"""


@asynccontextmanager
async def by_library(hub: dict[str, str]) -> AsyncGenerator[Launch]:
    """`Launcher.launch` of hublaunch."""
    from hublaunch.launch.course.attempt import ASKING  # noqa: PLC0415
    from hublaunch.launcher import Launcher  # noqa: PLC0415 - the others are to be measured without it

    async with Launcher.connect(hub_url=hub["url"], hub_api_token=hub["token"]) as launcher:

        async def launch(name: str, told: Callable[[], None]) -> None:
            def take(event: dict[str, Any]) -> None:
                if event["message"] != ASKING:
                    told()

            await launcher.launch(IMAGE, name, repo_url=REPO_URL, event_callback=take)

        yield launch


@asynccontextmanager
async def by_service(service: dict[str, str]) -> AsyncGenerator[Launch]:
    """A client of hublaunch's service, which is beside it: it asks for a launch and its events in one request."""
    async with _client(service) as session:

        async def launch(name: str, told: Callable[[], None]) -> None:
            headers = {"Accept": "text/event-stream"}
            async with session.post("/launch", json=_body(name), headers=headers) as stream:
                await _follow(stream, told)

        yield launch


@asynccontextmanager
async def by_service_in_two_requests(service: dict[str, str]) -> AsyncGenerator[Launch]:
    """As a page does it: it asks for a launch, and then for its events as an `EventSource`."""
    async with _client(service) as session:

        async def launch(name: str, told: Callable[[], None]) -> None:
            async with session.post("/launch", json=_body(name)) as accepted:
                assert accepted.status == 202, await accepted.text()
                events_url = (await accepted.json())["events_url"]
            async with session.get(events_url) as stream:
                await _follow(stream, told)

        yield launch


def _client(service: dict[str, str]) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(service["url"], connector=aiohttp.TCPConnector(limit=0))


def _body(name: str) -> dict[str, str]:
    return {"image": IMAGE, "repo_url": f"{REPO_URL}-{name}"}


async def _follow(stream: aiohttp.ClientResponse, told: Callable[[], None]) -> None:
    """To the end, which must be that it is ready, with no event missing."""
    assert stream.status == 200, await stream.text()
    seqs, phase = [], ""
    async for line in stream.content:
        if line.startswith(b'data: {"launch_id"'):
            event = json.loads(line[6:])
            seqs.append(event["seq"])
            phase = event["phase"]
            told()
    assert phase == "ready", f"the launch ended as {phase}"
    assert seqs == list(range(1, len(seqs) + 1)), f"the events came as {seqs}"


@asynccontextmanager
async def by_aiohttp(hub: dict[str, str]) -> AsyncGenerator[Launch]:
    """Nothing but aiohttp: the least that Python can do it with."""
    headers = {"Authorization": f"token {hub['token']}"}
    async with (
        aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0)) as session,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as servers,  # are asked without the Hub's token
    ):

        async def post(path: str, body: Any = None) -> Any:
            async with session.post(f"{hub['api_url']}/{path}", json=body) as response:
                response.raise_for_status()
                return await response.read()

        async def follow(name: str, told: Callable[[], None]) -> str:
            async with session.get(f"{hub['api_url']}/users/{name}/server/progress") as response:
                response.raise_for_status()
                async for line in response.content:
                    if line.startswith(b"data: "):
                        event = json.loads(line[6:])
                        told()
                        if event.get("ready"):
                            return str(event["url"])
            raise AssertionError("the stream ended before the server was ready")

        async def start_and_follow(name: str, told: Callable[[], None]) -> str:
            await post(f"users/{name}/server", {"image": IMAGE, "repo_url": REPO_URL})
            return await follow(name, told)

        async def launch(name: str, told: Callable[[], None]) -> None:
            await post(f"users/{name}")
            _, url = await asyncio.gather(post(f"users/{name}/tokens", token_body(name)), start_and_follow(name, told))
            async with servers.get(f"{hub['url'].rstrip('/')}{url}api") as response:
                response.raise_for_status()

        yield launch


@asynccontextmanager
async def by_tornado(hub: dict[str, str]) -> AsyncGenerator[Launch]:
    """tornado's client on curl, which BinderHub's Launcher uses; beside it that makes only three of the calls."""
    from tornado.curl_httpclient import CurlAsyncHTTPClient  # noqa: PLC0415

    client = CurlAsyncHTTPClient(max_clients=10_000, force_instance=True)
    headers = {"Authorization": f"token {hub['token']}"}

    async def post(path: str, body: Any = None) -> None:
        await client.fetch(
            f"{hub['api_url']}/{path}", method="POST", headers=headers, body="" if body is None else json.dumps(body)
        )

    async def start_and_follow(name: str, told: Callable[[], None]) -> str:
        await post(f"users/{name}/server", {"image": IMAGE, "repo_url": REPO_URL})
        rest, url = b"", ""

        def take(chunk: bytes) -> None:
            nonlocal rest, url
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if line.startswith(b"data: "):
                    event = json.loads(line[6:])
                    told()
                    url = str(event["url"]) if event.get("ready") else url

        await client.fetch(
            f"{hub['api_url']}/users/{name}/server/progress",
            headers=headers,
            streaming_callback=take,
            request_timeout=600,
        )
        assert url, "the stream ended before the server was ready"
        return url

    async def launch(name: str, told: Callable[[], None]) -> None:
        await post(f"users/{name}")
        _, url = await asyncio.gather(post(f"users/{name}/tokens", token_body(name)), start_and_follow(name, told))
        await client.fetch(f"{hub['url'].rstrip('/')}{url}api")

    yield launch
    client.close()


def token_body(name: str) -> dict[str, Any]:
    """What is asked of the Hub for the visitor's token."""
    return {"scopes": [f"access:servers!server={name}/"], "note": "benchmark", "expires_in": 3600}
