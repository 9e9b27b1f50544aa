"""A real JupyterHub that can be killed, frozen and started again on its database; proxy and servers outlive it.

As z2jh has it, the proxy is nobody's child: with it the routes to the servers are there while the Hub is not.
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

HELD = "The server waits at its gate"
"""What the Hub tells of a spawn that goes on once the gate opens."""
_POLL_S = 0.05


class MortalHub(HubProcess):
    """The demo's Hub with servers that are quick to start, and a proxy that it has not started."""

    def __init__(self, *, state: Path, proxy_command: list[str], failure_limit: int = 0) -> None:
        """`failure_limit`: so many failed spawns in a row end it, and it starts as many at once as it is asked to."""
        config = Path(__file__).with_name("mortal_config.py")
        super().__init__(state=state, proxy_command=proxy_command, public_port=0, config=config)
        self._proxy_token = secrets.token_hex(16)
        self._failure_limit = failure_limit

    def _environment(self) -> dict[str, str]:
        own = {"CONFIGPROXY_AUTH_TOKEN": self._proxy_token, "TEST_HUB_FAILURE_LIMIT": str(self._failure_limit)}
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
        await super().__aexit__(*exc)  # kills all that has this Hub's mark
        await self._proxy.wait()

    @property
    def url(self) -> str:
        return self.public_url

    @property
    def local_url(self) -> str:
        """Past the proxy, which leaves a stream open whose other end, a Hub that was killed, is gone."""
        return self._hub_url

    @property
    def api_token(self) -> str:
        return self.token

    @property
    def is_running(self) -> bool:
        return self._running.returncode is None

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    async def begin_anew_unless_clean(self) -> None:
        """Return once it runs and has nobody, in whatever state it was."""
        self.thaw()
        if self._running.returncode is None and not await self.users() and not self.server_processes():
            return
        kill_marked_processes(self.state)
        await asyncio.gather(self._running.wait(), self._proxy.wait())
        await self.__aenter__()

    async def kill(self) -> None:
        """kill -9."""
        os.kill(self.pid, signal.SIGKILL)
        await self.wait()

    async def start_again(self) -> None:
        """Return once it answers, on the same addresses and with the same database."""
        await self._start()

    def freeze(self) -> None:
        """Return once it stands still; what is asked of it waits in its socket."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitpid(self.pid, os.WUNTRACED)

    def thaw(self) -> None:
        if self._running.returncode is None:
            os.kill(self.pid, signal.SIGCONT)

    async def until_asked(self) -> None:
        """Return once a request waits for this Hub, which is frozen."""
        while not _unread_bytes(httpx.URL(self.api_url).port or 0):  # noqa: ASYNC110 - it stands still
            await asyncio.sleep(_POLL_S)

    def open_gate(self, username: str) -> None:
        gate(self.state, username).touch()

    async def users(self) -> dict[str, dict[str, Any]]:
        """All users, by name, with their servers."""
        return {user["name"]: user["servers"] for user in (await self._get("users")).json()}

    async def until_ready(self, username: str) -> None:
        """Return once the Hub says that the user's server is ready."""
        assert '"ready": true' in (await self._get(f"users/{username}/server/progress")).text

    async def until_users(self, count: int) -> set[str]:
        """Their names, once there are so many: who asks the Hub is the only one to learn it."""
        while len(users := await self.users()) != count:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)
        return set(users)

    async def until_servers(self, count: int) -> None:
        """Return once so many server processes run, the Hub's or not: they tell nobody of their end."""
        while len(self.server_processes()) != count:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)

    def server_processes(self) -> list[int]:
        return [pid for pid in marked_processes(self.state) if b"quick_server.py" in _command(pid)]

    async def _get(self, path: str) -> httpx.Response:
        headers = {"Authorization": f"token {self.token}"}
        async with httpx.AsyncClient(base_url=self.api_url, headers=headers, timeout=30, trust_env=False) as api:
            return (await api.get(path)).raise_for_status()


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has ended
        return b""


def _unread_bytes(port: int) -> int:
    """What has come in for a port of the loopback address and has not been read, of all its connections."""
    unread = 0
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, queues, *_ = line.split()
        if local.endswith(f":{port:04X}") and state == "01":  # established
            unread += int(queues.partition(":")[2], 16)
    return unread
