"""A real JupyterHub behind its own proxy, below a base URL or with a subdomain for each user."""

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from hublaunch.demo.errors import DemoError
from hublaunch.demo.process import HubProcess

DOMAIN = "hub.test"
"""No DNS has this name. Clients of names below it connect to the Hub's proxy directly."""

_POLL_S = 0.1


class PlacedHub(HubProcess):
    """The demo's Hub with servers that start quickly, below a base URL or with subdomains."""

    def __init__(self, *, state: Path, proxy_command: list[str], base_url: str = "/", subdomains: bool = False) -> None:
        """`base_url` is percent-encoded, with `/` at both ends."""
        config = Path(__file__).with_name("placed_config.py")
        super().__init__(state=state, proxy_command=proxy_command, public_port=0, config=config)
        self.proxy_url = self.public_url
        self.public_url = f"{self.proxy_url.rstrip('/')}{base_url}"
        self.local_url = f"{self._hub_url.rstrip('/')}{base_url}"
        port = urlsplit(self.proxy_url).port
        self.subdomain_host = f"http://{DOMAIN}:{port}" if subdomains else ""
        self.url = f"{self.subdomain_host}{base_url}" if subdomains else self.public_url

    def url_of(self, username: str) -> str:
        """Return the URL of this user's default server for browsers."""
        url = f"{self.url}user/{username}/"
        return url.replace(f"//{DOMAIN}", f"//{username}.{DOMAIN}") if self.subdomain_host else url

    def _environment(self) -> dict[str, str]:
        return super()._environment() | {"TEST_HUB_SUBDOMAIN_HOST": self.subdomain_host}

    async def _wait_until_it_answers(self, process: asyncio.subprocess.Process) -> None:
        while not await self._answers():
            if process.returncode is not None:
                raise DemoError(f"JupyterHub ended while it was starting.\n{self._log_tail()}")
            await asyncio.sleep(_POLL_S)

    async def _answers(self) -> bool:
        try:
            return (await self.get(f"{self.url}hub/api/")).status_code == 200
        except httpx.HTTPError:
            return False

    async def get(self, url: str) -> httpx.Response:
        """Send a GET like a browser for which every name below the Hub's leads to the proxy."""
        asked = urlsplit(url)
        async with httpx.AsyncClient(base_url=self.proxy_url, trust_env=False, timeout=30) as http:
            return await http.get(url.removeprefix(f"{asked.scheme}://{asked.netloc}"), headers={"Host": asked.netloc})

    async def users(self) -> list[str]:
        async with self._api() as api:
            return [user["name"] for user in (await api.get("users")).raise_for_status().json()]

    async def user(self, username: str) -> dict[str, Any]:
        """Return the Hub's model of a user."""
        async with self._api() as api:
            model: dict[str, Any] = (await api.get(f"users/{username}")).raise_for_status().json()
            return model

    async def create_user(self, username: str) -> None:
        async with self._api() as api:
            (await api.post(f"users/{username}")).raise_for_status()

    async def delete_users(self) -> None:
        """Delete every user, after all of their servers."""
        async with self._api() as api:
            for username in await self.users():
                for server_name in (await self.user(username))["servers"]:
                    while (await api.delete(f"users/{username}/servers/{server_name}")).status_code == 202:  # noqa: ASYNC110 - as below
                        await asyncio.sleep(_POLL_S)
                (await api.delete(f"users/{username}")).raise_for_status()

    async def progress(self, username: str) -> list[dict[str, Any]]:
        """Return the events of the user's default server, which must be ready."""
        async with self._api() as api:
            stream = (await api.get(f"users/{username}/server/progress")).raise_for_status()
        return [json.loads(line.removeprefix("data: ")) for line in stream.text.splitlines() if line]

    async def until_spawning(self, username: str) -> None:
        """Return once the user's server is starting."""
        async with self._api() as api:
            while not (await api.get(f"users/{username}")).json().get("pending"):  # noqa: ASYNC110 - the Hub has to be polled
                await asyncio.sleep(_POLL_S)

    async def stop_server(self, username: str) -> None:
        async with self._api() as api:
            (await api.delete(f"users/{username}/server")).raise_for_status()

    def _api(self) -> httpx.AsyncClient:
        headers = {"Authorization": f"token {self.token}"}
        return httpx.AsyncClient(base_url=self.api_url, headers=headers, timeout=30, trust_env=False)
