"""One launch made in five ways, and the program that measures one of them in a process of its own.

    echo '{"url": …, "api_url": …, "token": …}' | python -m benchmarks.drivers library --launches 200

The ways are hublaunch as a library, hublaunch as a service (in one request or in two), bare aiohttp, and BinderHub's
engine (tornado on curl). Each makes the same calls in the same order. The first creates the user. Then the visitor's
token and the start of the server are requested side by side, while the progress is read. The last asks the server
itself. The Hub answers the start immediately with 202.

The program prints `warm` after some launches that do not count, and then a line of JSON: `cpu_ms` of this process per
launch, and `ready_s`, the time to ready of each. `--hold`, on a Hub whose spawns do not end, prints `rss_kb` for each
launch in progress instead. `--count` prints the `calls` of Python functions per launch. The service's drivers read
hublaunch's `url`.
"""

import argparse
import asyncio
import cProfile
import gc
import json
import os
import pstats
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

IMAGE = "quay.io/jupyter/base-notebook:latest"
REPO_URL = "https://example.org/org/repo"

Launch = Callable[[str, Callable[[], None]], Coroutine[Any, Any, None]]
"""Launches for a new user of this name, and returns when the server is ready. The second argument is called with each
event of the Hub's progress."""


@asynccontextmanager
async def by_library(hub: dict[str, str]) -> AsyncGenerator[Launch]:
    """`Launcher.launch` of hublaunch."""
    from hublaunch.launch.course.attempt import ASKING  # noqa: PLC0415
    from hublaunch.launcher import Launcher  # noqa: PLC0415 - the others are to be measured without it

    async with Launcher.connect(hub_url=hub["url"], hub_api_token=hub["token"]) as launcher:

        async def launch(name: str, on_event: Callable[[], None]) -> None:
            def take(event: dict[str, Any]) -> None:
                if event["message"] != ASKING:
                    on_event()

            await launcher.launch(IMAGE, name, repo_url=REPO_URL, event_callback=take)

        yield launch


@asynccontextmanager
async def by_service(service: dict[str, str]) -> AsyncGenerator[Launch]:
    """A client of hublaunch's service that requests a launch and its events in one request."""
    async with _client(service) as session:

        async def launch(name: str, on_event: Callable[[], None]) -> None:
            headers = {"Accept": "text/event-stream"}
            async with session.post("/launch", json=_body(name), headers=headers) as stream:
                await _follow(stream, on_event)

        yield launch


@asynccontextmanager
async def by_service_in_two_requests(service: dict[str, str]) -> AsyncGenerator[Launch]:
    """A client that, like a page, requests a launch and then its events as an `EventSource`."""
    async with _client(service) as session:

        async def launch(name: str, on_event: Callable[[], None]) -> None:
            async with session.post("/launch", json=_body(name)) as accepted:
                assert accepted.status == 202, await accepted.text()
                events_url = (await accepted.json())["events_url"]
            async with session.get(events_url) as stream:
                await _follow(stream, on_event)

        yield launch


def _client(service: dict[str, str]) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(service["url"], connector=aiohttp.TCPConnector(limit=0))


def _body(name: str) -> dict[str, str]:
    return {"image": IMAGE, "repo_url": f"{REPO_URL}-{name}"}


async def _follow(stream: aiohttp.ClientResponse, on_event: Callable[[], None]) -> None:
    """Read the stream to its end. The launch must end ready, with no event missing."""
    assert stream.status == 200, await stream.text()
    seqs, phase = [], ""
    async for line in stream.content:
        if line.startswith(b'data: {"launch_id"'):
            event = json.loads(line[6:])
            seqs.append(event["seq"])
            phase = event["phase"]
            on_event()
    assert phase == "ready", f"the launch ended as {phase}"
    assert seqs == list(range(1, len(seqs) + 1)), f"the events came as {seqs}"


@asynccontextmanager
async def by_aiohttp(hub: dict[str, str]) -> AsyncGenerator[Launch]:
    """Bare aiohttp: the least cost of a launch in Python."""
    headers = {"Authorization": f"token {hub['token']}"}
    async with (
        aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0)) as session,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as servers,  # without the Hub's token
    ):

        async def post(path: str, body: Any = None) -> Any:
            async with session.post(f"{hub['api_url']}/{path}", json=body) as response:
                response.raise_for_status()
                return await response.read()

        async def follow(name: str, on_event: Callable[[], None]) -> str:
            async with session.get(f"{hub['api_url']}/users/{name}/server/progress") as response:
                response.raise_for_status()
                async for line in response.content:
                    if line.startswith(b"data: "):
                        event = json.loads(line[6:])
                        on_event()
                        if event.get("ready"):
                            return str(event["url"])
            raise AssertionError("the stream ended before the server was ready")

        async def start_and_follow(name: str, on_event: Callable[[], None]) -> str:
            await post(f"users/{name}/server", {"image": IMAGE, "repo_url": REPO_URL})
            return await follow(name, on_event)

        async def launch(name: str, on_event: Callable[[], None]) -> None:
            await post(f"users/{name}")
            _, url = await asyncio.gather(
                post(f"users/{name}/tokens", token_body(name)), start_and_follow(name, on_event)
            )
            async with servers.get(f"{hub['url'].rstrip('/')}{url}api") as response:
                response.raise_for_status()

        yield launch


@asynccontextmanager
async def by_tornado(hub: dict[str, str]) -> AsyncGenerator[Launch]:
    """tornado's client on curl, as in BinderHub's Launcher, which makes only three of these calls."""
    from tornado.curl_httpclient import CurlAsyncHTTPClient  # noqa: PLC0415

    client = CurlAsyncHTTPClient(max_clients=10_000, force_instance=True)
    headers = {"Authorization": f"token {hub['token']}"}

    async def post(path: str, body: Any = None) -> None:
        await client.fetch(
            f"{hub['api_url']}/{path}", method="POST", headers=headers, body="" if body is None else json.dumps(body)
        )

    async def start_and_follow(name: str, on_event: Callable[[], None]) -> str:
        await post(f"users/{name}/server", {"image": IMAGE, "repo_url": REPO_URL})
        rest, url = b"", ""

        def take(chunk: bytes) -> None:
            nonlocal rest, url
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if line.startswith(b"data: "):
                    event = json.loads(line[6:])
                    on_event()
                    url = str(event["url"]) if event.get("ready") else url

        await client.fetch(
            f"{hub['api_url']}/users/{name}/server/progress",
            headers=headers,
            streaming_callback=take,
            request_timeout=600,
        )
        assert url, "the stream ended before the server was ready"
        return url

    async def launch(name: str, on_event: Callable[[], None]) -> None:
        await post(f"users/{name}")
        _, url = await asyncio.gather(post(f"users/{name}/tokens", token_body(name)), start_and_follow(name, on_event))
        await client.fetch(f"{hub['url'].rstrip('/')}{url}api")

    yield launch
    client.close()


def token_body(name: str) -> dict[str, Any]:
    """Return the body of the request for the visitor's token."""
    return {"scopes": [f"access:servers!server={name}/"], "note": "benchmark", "expires_in": 3600}


DRIVERS = {
    "library": by_library,
    "service": by_service,
    "service-in-two": by_service_in_two_requests,
    "aiohttp": by_aiohttp,
    "tornado": by_tornado,
}
WARM_UP = 20


async def launch_all(launch: Launch, launches: int) -> dict[str, object]:
    """Launch that many servers at once, until all are ready."""

    async def timed(name: str) -> float:
        began = time.perf_counter()
        await launch(name, lambda: None)
        return time.perf_counter() - began

    await asyncio.gather(*(timed(f"warm-{number}") for number in range(WARM_UP)))
    gc.collect()
    print("warm", flush=True)
    before = time.process_time()
    ready_s = await asyncio.gather(*(timed(f"user-{number}") for number in range(launches)))
    return {"cpu_ms": (time.process_time() - before) / launches * 1000, "ready_s": sorted(ready_s)}


async def count_all(launch: Launch, launches: int) -> dict[str, object]:
    """Launch that many servers at once, and count function calls, which hardly vary between machines and runs."""
    await asyncio.gather(*(launch(f"warm-{number}", lambda: None) for number in range(WARM_UP)))
    print("warm", flush=True)
    with cProfile.Profile() as profile:
        await asyncio.gather(*(launch(f"user-{number}", lambda: None) for number in range(launches)))
    return {"calls": calls(profile) / launches}


def calls(profile: cProfile.Profile) -> int:
    """Return the number of calls counted."""
    return int(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]


async def hold_all(launch: Launch, launches: int) -> dict[str, object]:
    """Launch that many servers at once, and measure the memory while all of them follow their progress."""
    async with held(launch, "warm", WARM_UP):
        print("warm", flush=True)
        before = _rss_kb()
        async with held(launch, "user", launches):
            return {"rss_kb": (_rss_kb() - before) / launches}


@asynccontextmanager
async def held(launch: Launch, prefix: str, launches: int) -> AsyncGenerator[None]:
    events = asyncio.Semaphore(0)
    tasks = [asyncio.create_task(launch(f"{prefix}-{number}", events.release)) for number in range(launches)]
    for _ in tasks:
        await events.acquire()
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _rss_kb() -> float:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024


async def drive(driver: str, launches: int, measure: Callable[[Launch, int], Awaitable[dict[str, object]]]) -> None:
    """Print the measurement of that many launches by this driver."""
    async with DRIVERS[driver](json.loads(sys.stdin.readline())) as launch:
        print(json.dumps(await measure(launch, launches)), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("driver", choices=DRIVERS)
    parser.add_argument("--launches", type=int, default=200)
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--hold", dest="measure", action="store_const", const=hold_all, default=launch_all)
    way.add_argument("--count", dest="measure", action="store_const", const=count_all)
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(drive(options.driver, options.launches, options.measure))


if __name__ == "__main__":
    main()
