"""A Hub as the contract sees it: plain HTTP, and the settings that the fake and the real Hub share."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import httpx
import pytest

FAKE_VERSIONS = ("6.1.1", "6.0.0", "5.5.4", "5.0.0", "4.1.6")
REAL_PYTHON = os.environ.get("HUBLAUNCH_TEST_HUB_PYTHON", sys.executable)
"""The Python whose JupyterHub is the real one."""

Version = tuple[int, ...]
Configure = Callable[[Mapping[str, Any]], Awaitable[None]]
Release = Callable[[str], Awaitable[None]]

SETTINGS: Mapping[str, Any] = {
    "slow_spawn_timeout": 10,
    "slow_stop_timeout": 10,
    "concurrent_spawn_limit": 0,
    "active_server_limit": 0,
    "allow_named_servers": True,
    "named_server_limit_per_user": 0,
    "token_expires_in_max_seconds": 0,
}
"""Every setting that a test may change, with its value in all other tests."""


def numbers(version: str) -> Version:
    return tuple(int(part) for part in version.split("."))


@cache
def real_version() -> Version:
    """Return the version of the real Hub without starting it."""
    script = "from importlib.metadata import version; print(version('jupyterhub'))"
    return numbers(subprocess.run([REAL_PYTHON, "-c", script], capture_output=True, text=True, check=True).stdout)


def on_hubs(accepts: Callable[[Version], bool]) -> pytest.MarkDecorator:
    """Run a test only on the Hubs, fake and real, whose version is accepted."""
    hubs: list[Any] = [version for version in FAKE_VERSIONS if accepts(numbers(version))]
    if accepts(real_version()):
        hubs.append(pytest.param("real", marks=pytest.mark.real_hub))
    return pytest.mark.parametrize("hub", hubs, indirect=True)


@dataclass(kw_only=True)
class ContractHub:
    api: httpx.AsyncClient
    """A client at `/hub/api/`, with the service's token."""
    url: str
    base_url: str
    token: str
    version: Version
    configure: Configure = field(repr=False)
    """Change settings of `SETTINGS`."""
    release: Release = field(repr=False)
    """End the user's spawn or stop whose plan waits for it."""

    async def create(self, username: str) -> None:
        (await self.api.post(f"users/{username}")).raise_for_status()

    async def start(self, username: str, server_name: str = "", **plan: Any) -> httpx.Response:
        """Start a server whose spawn follows the `SpawnPlan` with these fields."""
        return await self.api.post(f"users/{username}/servers/{server_name}", json={"test_spawn": plan})

    async def start_in_background(self, username: str, server_name: str = "", **plan: Any) -> None:
        """Start a server with `slow_spawn_timeout` 0: the POST is answered while the spawn continues."""
        await self.configure({"slow_spawn_timeout": 0})
        answer = await self.start(username, server_name, **plan)
        assert answer.status_code == 202, answer.text

    async def stop(self, username: str, server_name: str = "") -> httpx.Response:
        return await self.api.delete(f"users/{username}/servers/{server_name}")

    async def user(self, username: str) -> dict[str, Any]:
        answer = await self.api.get(f"users/{username}")
        answer.raise_for_status()
        model: dict[str, Any] = answer.json()
        return model

    async def server(self, username: str) -> dict[str, Any]:
        """Return the model of the default server."""
        server: dict[str, Any] = (await self.user(username))["servers"][""]
        return server

    async def all_servers(self, username: str) -> dict[str, object]:
        """Return the models of all servers, stopped ones too."""
        answer = await self.api.get(f"users/{username}?include_stopped_servers=1")
        servers: dict[str, object] = answer.json()["servers"]
        return servers

    async def until_pending(self, username: str, pending: str | None) -> None:
        """Poll until the default server is pending in this way; a real Hub sends no notice."""
        async with asyncio.timeout(5):
            while True:
                servers = (await self.user(username))["servers"]
                if servers and servers[""]["pending"] == pending:
                    return
                await asyncio.sleep(0.005)

    async def progress(self, username: str, server_name: str = "") -> httpx.Response:
        """Return the whole stream once it has ended."""
        return await self.api.get(f"users/{username}/servers/{server_name}/progress")

    async def progress_released_after(self, username: str, message: str) -> httpx.Response:
        """Return the whole stream of a spawn that is released once this message has arrived."""
        content, released = b"", False
        async with self.api.stream("GET", f"users/{username}/server/progress") as stream:
            async for chunk in stream.aiter_bytes():
                content += chunk
                if not released and message.encode() in content:
                    released = True
                    await self.release(username)
        return httpx.Response(stream.status_code, headers=stream.headers, content=content)

    async def clean_up(self, username: str) -> None:
        """Stop all servers of the user and delete the user, if there is one."""
        answer = await self.api.get(f"users/{username}")
        for server_name in answer.json().get("servers", {}) if answer.status_code == 200 else {}:
            while (stopping := await self.stop(username, server_name)).status_code not in (204, 404):
                await self.release(username)
                if stopping.status_code == 400:
                    await self.progress(username, server_name)  # before 5.1 the spawn must end first
                await asyncio.sleep(0.05)
        await self.api.delete(f"users/{username}")


def events(stream: httpx.Response | bytes) -> list[dict[str, Any]]:
    """Return the events of a progress stream, without its blank lines."""
    content = stream if isinstance(stream, bytes) else stream.content
    return [json.loads(line.removeprefix(b"data: ")) for line in content.splitlines() if line]


def error(answer: httpx.Response) -> tuple[int, str | None]:
    """Return status and message of an error, whose head and body agree."""
    body = answer.json()
    assert set(body) == {"status", "message"}
    assert body["status"] == answer.status_code
    return answer.status_code, body["message"]
