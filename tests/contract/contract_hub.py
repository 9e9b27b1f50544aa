"""A Hub as the contract sees it: plain HTTP, and the settings that both the fake and the real one know."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

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


@dataclass(kw_only=True)
class ContractHub:
    api: httpx.AsyncClient
    """At `/hub/api/`, with the service's token."""
    url: str
    base_url: str
    token: str
    version: tuple[int, ...]
    configure: Callable[[Mapping[str, Any]], Awaitable[None]] = field(repr=False)
    """Change settings of `SETTINGS`."""

    def skip_before(self, *version: int) -> None:
        if self.version < version:
            pytest.skip(f"Not so before JupyterHub {'.'.join(map(str, version))}")

    async def create(self, username: str) -> None:
        (await self.api.post(f"users/{username}")).raise_for_status()

    async def start(self, username: str, server_name: str = "", **plan: Any) -> httpx.Response:
        """Start a server that goes as the `SpawnPlan` of these fields says."""
        return await self.api.post(f"users/{username}/servers/{server_name}", json={"test_spawn": plan})

    async def start_in_background(self, username: str, server_name: str = "", **plan: Any) -> None:
        """As on a Hub with `slow_spawn_timeout` 0: the POST is answered, the spawn goes on."""
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

    async def progress(self, username: str, server_name: str = "") -> httpx.Response:
        """The whole stream; returns once it has ended."""
        return await self.api.get(f"users/{username}/servers/{server_name}/progress")

    async def clean_up(self, username: str) -> None:
        """Stop whatever runs and delete the user, if there is one."""
        answer = await self.api.get(f"users/{username}")
        for server_name in answer.json().get("servers", {}) if answer.status_code == 200 else {}:
            while (stopping := await self.stop(username, server_name)).status_code not in (204, 404):
                if stopping.status_code == 400:
                    await self.progress(username, server_name)  # before 5.1 the spawn has to end first
                await asyncio.sleep(0.05)
        await self.api.delete(f"users/{username}")


def events(stream: httpx.Response | bytes) -> list[dict[str, Any]]:
    """The events of a progress stream without its blank lines."""
    content = stream if isinstance(stream, bytes) else stream.content
    return [json.loads(line.removeprefix(b"data: ")) for line in content.splitlines() if line]


def error(answer: httpx.Response) -> tuple[int, str | None]:
    """Status and message of an answer that is an error, told alike by its head and its body."""
    told = answer.json()
    assert set(told) == {"status", "message"}
    assert told["status"] == answer.status_code
    return answer.status_code, told["message"]
