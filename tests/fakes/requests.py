"""Requests to the fake Hub that its tests share."""

import json
from typing import Any

import httpx

from tests.fakes.hub import FakeHub


async def start(api: httpx.AsyncClient, username: str = "alice", **options: Any) -> httpx.Response:
    await api.post(f"users/{username}")
    return await api.post(f"users/{username}/server", json=options)


async def start_and_wait(hub: FakeHub, api: httpx.AsyncClient) -> None:
    await start(api)
    await hub.until(lambda: hub.count("server_ready", "alice"))


async def messages(api: httpx.AsyncClient, username: str = "alice") -> list[str]:
    stream = await api.get(f"users/{username}/server/progress")
    return [json.loads(line.removeprefix("data: "))["message"] for line in stream.text.splitlines() if line]


async def read(api: httpx.AsyncClient, content: bytearray) -> None:
    async with api.stream("GET", "users/alice/server/progress") as stream:
        async for chunk in stream.aiter_bytes():
            content += chunk
