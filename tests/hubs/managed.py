"""A real JupyterHub with its real proxy, and hublaunch as a service that the Hub starts."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import httpx

from hublaunch.demo.process import HubProcess
from hublaunch.demo.proxy import proxy_command, proxy_directory
from hublaunch.hub.connect import connect_hub
from hublaunch.launch.ports import Identity
from hublaunch.settings import Settings
from tests.hubs.quick_server import gate

PASSWORD = "a password for tests"
LOGINS = ("alice", "bob")
"""The users who may log in with it; the first is in the group."""
GROUP = "gpu-users"
ADMIN = "ada"
SECRET_KEY = "a secret key for the services that this Hub starts"
SHORT_LIFETIME_S = 1.0
"""How long the service `named` caches the owner of a token; `launcher` has the default of 30 s."""
IMAGE = "quay.io/jupyter/base-notebook:latest"


@dataclass(frozen=True)
class ManagedHub:
    """A running Hub, from an operator's view."""

    process: HubProcess
    api: httpx.AsyncClient
    """The Hub's API, for a service with all scopes."""

    @property
    def url(self) -> str:
        """The URL of the Hub and the services for browsers."""
        return self.process.public_url

    @property
    def log(self) -> str:
        """The log of the Hub and the services."""
        return self.process.log_path.read_text()

    async def new_user(self, name: str = "") -> str:
        """Create a new user and return the name."""
        name = name or f"user-{uuid4().hex[:8]}"
        (await self.api.post(f"users/{quote(name)}")).raise_for_status()
        return name

    async def token(self, username: str, *scopes: str) -> tuple[str, str]:
        """Return a new token of this user and its id. Without `scopes` it has all rights of the user."""
        body = {"scopes": scopes} if scopes else {}
        answer = await self.api.post(f"users/{quote(username)}/tokens", json=body)
        answer.raise_for_status()
        return answer.json()["token"], answer.json()["id"]

    async def identify(self, token: str) -> Identity | None:
        """Return the owner of the token, asked the way hublaunch asks."""
        settings = Settings(hub_url=self.process.local_url, hub_api_token=self.process.token)
        async with connect_hub(settings) as hub:
            return await hub.logins.identify(token)

    async def has_user(self, username: str) -> bool:
        return (await self.api.get(f"users/{quote(username)}")).status_code == 200

    async def servers(self, username: str) -> list[str]:
        """Return the names of this user's servers, stopped ones too. The default server is always among them."""
        answer = await self.api.get(f"users/{quote(username)}", params={"include_stopped_servers": 1})
        return list(answer.raise_for_status().json()["servers"])

    async def running(self, username: str) -> list[str]:
        """Return the names of this user's running servers."""
        return list((await self.api.get(f"users/{quote(username)}")).raise_for_status().json()["servers"])

    def open_gate(self, username: str) -> None:
        gate(self.process.state, username).touch()

    @asynccontextmanager
    async def caller(self, token: str = "", *, service: str = "launcher") -> AsyncGenerator[httpx.AsyncClient]:
        """Yield a client of hublaunch, through the Hub's proxy."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = f"{self.url}services/{service}/"
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30, trust_env=False) as http:
            yield http


@asynccontextmanager
async def managed_hub(state: Path, *, config: str = "managed_config.py") -> AsyncGenerator[ManagedHub]:
    """Yield the Hub once it and its services answer, and remove all of it on leaving."""
    proxy = await asyncio.to_thread(proxy_command, proxy_directory(state))
    async with (
        HubProcess(state=state, proxy_command=proxy, public_port=0, config=Path(__file__).with_name(config)) as process,
        httpx.AsyncClient(
            base_url=process.api_url,
            headers={"Authorization": f"token {process.token}"},
            timeout=30,
            trust_env=False,
        ) as api,
    ):
        yield ManagedHub(process, api)
