"""A real JupyterHub that can be killed, frozen and started again on its database. Proxy and servers outlive it.

As on z2jh, the proxy is not the Hub's child, so the routes to the servers stay while the Hub is down.
"""

import asyncio
import os
import secrets
import signal
from pathlib import Path
from typing import Any, Self

import httpx

from hublaunch.demo.leftovers import kill_marked_processes, marked_processes
from hublaunch.demo.process import HubProcess
from tests.hubs.quick_server import gate

HELD = "Pending in queue: the server waits at its gate"
"""The Hub's message about a spawn that continues once the gate opens. It begins as batchspawner's."""
_POLL_S = 0.05
_CONFIG = Path(__file__).with_name("mortal_config.py")
_ROOT = Path(__file__).parents[2]


class MortalHub(HubProcess):
    """The demo's Hub with servers that start quickly, and a proxy that it did not start."""

    def __init__(
        self,
        *,
        state: Path,
        proxy_command: list[str],
        failure_limit: int = 0,
        config: Path = _CONFIG,
        python: str | None = None,
    ) -> None:
        """After `failure_limit` failed spawns in a row the Hub exits. Concurrent spawns are unlimited."""
        super().__init__(state=state, proxy_command=proxy_command, public_port=0, config=config, python=python)
        self._proxy_token = secrets.token_hex(16)
        self._failure_limit = failure_limit

    def _environment(self) -> dict[str, str]:
        own = {
            "CONFIGPROXY_AUTH_TOKEN": self._proxy_token,
            "TEST_HUB_FAILURE_LIMIT": str(self._failure_limit),
            "PYTHONPATH": f"{_ROOT}:{_ROOT / 'app'}",  # for a Python in which hublaunch is not installed
        }
        return super()._environment() | own

    async def __aenter__(self) -> Self:
        self._prepare()
        public, api = httpx.URL(self.public_url), httpx.URL(self._proxy_api_url)
        with self.log_path.open("ab") as log:
            self._proxy = await asyncio.create_subprocess_exec(
                *self._proxy_command,
                *("--ip", public.host, "--port", str(public.port)),
                *("--api-ip", api.host, "--api-port", str(api.port)),
                *("--error-target", f"{self._hub_url}hub/error"),
                env=self._environment(),
                stdout=log,
                stderr=log,
            )
        await self._start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await super().__aexit__(*exc)  # kills all processes with this Hub's mark
        await self._proxy.wait()

    @property
    def url(self) -> str:
        return self.public_url

    @property
    def api_token(self) -> str:
        return self.token

    @property
    def is_running(self) -> bool:
        return self._running.returncode is None

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    async def reset_unless_clean(self) -> None:
        """Return once the Hub runs without users, from any state."""
        self.thaw()
        if self._running.returncode is None and not await self.users() and not self.server_processes():
            return
        kill_marked_processes(self.state)
        await asyncio.gather(self._running.wait(), self._proxy.wait())
        await self.__aenter__()

    async def kill(self) -> None:
        """Kill the Hub with SIGKILL."""
        os.kill(self.pid, signal.SIGKILL)
        await self.wait()

    async def start_again(self) -> None:
        """Start it on the same addresses and database, and return once it answers."""
        await self._start()

    def freeze(self) -> None:
        """Stop the process with SIGSTOP, and return once it has stopped. Requests wait in its socket."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitpid(self.pid, os.WUNTRACED)

    def thaw(self) -> None:
        if self._running.returncode is None:
            os.kill(self.pid, signal.SIGCONT)

    async def until_asked(self) -> None:
        """Return once a request waits for this frozen Hub."""
        while not _unread_bytes(httpx.URL(self.api_url).port or 0):  # noqa: ASYNC110 - it stands still
            await asyncio.sleep(_POLL_S)

    def open_gate(self, username: str) -> None:
        gate(self.state, username).touch()

    async def users(self) -> dict[str, dict[str, Any]]:
        """Return all users by name, with their servers."""
        return {user["name"]: user["servers"] for user in (await self.ask("GET", "users")).json()}

    async def until_ready(self, username: str) -> None:
        """Return once the Hub reports the user's server as ready."""
        assert '"ready": true' in (await self.ask("GET", f"users/{username}/server/progress")).text

    async def until_users(self, count: int) -> set[str]:
        """Return the names of the users once there are this many. The Hub has to be polled."""
        while len(users := await self.users()) != count:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)
        return set(users)

    async def until_servers(self, count: int) -> None:
        """Return once this many server processes run, known to the Hub or not. They have to be polled."""
        while len(self.server_processes()) != count:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)

    def server_processes(self) -> list[int]:
        return [pid for pid in marked_processes(self.state) if b"quick_server.py" in _command(pid)]

    def server_process(self, username: str) -> int:
        """Return the process of the user's server."""
        pid, _ = (self.state / f"server-of-{username}").read_text().split()
        return int(pid)

    async def ask(self, method: str, path: str, body: object = None) -> httpx.Response:
        """Return the answer of the API to hublaunch's token. Raises httpx.HTTPStatusError if it is an error."""
        headers = {"Authorization": f"token {self.token}"}
        async with httpx.AsyncClient(base_url=self.api_url, headers=headers, timeout=30, trust_env=False) as api:
            return (await api.request(method, path, json=body)).raise_for_status()


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # the process has ended
        return b""


def _unread_bytes(port: int) -> int:
    """Return the number of bytes received on a loopback port and not yet read, over all connections."""
    unread = 0
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, queues, *_ = line.split()
        if local.endswith(f":{port:04X}") and state == "01":  # established
            unread += int(queues.partition(":")[2], 16)
    return unread
