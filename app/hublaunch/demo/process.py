"""A JupyterHub and its proxy as child processes, which end with this one."""

import asyncio
import json
import os
import secrets
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import httpx

from hublaunch.demo.errors import DemoError
from hublaunch.demo.leftovers import MARK, kill_marked_processes

CONFIG = Path(__file__).with_name("jupyterhub_config.py")
_POLL_S = 0.1
_PORTS_TRIED = 100
_NO_NEWS = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}


class HubProcess:
    """The demo's JupyterHub, which runs while the context manager is open.

    Its log, database and home directories are below `state`, which no other Hub may use; log and database start empty.
    On exit, the Hub gets SIGTERM, and stops its servers and its proxy. Processes that are left after
    `stop_timeout_s` are killed, immediately if the exit is cancelled. If this process is killed, Linux tells the Hub
    to stop; if the Hub is killed too, the next one on the same `state` kills the rest. Raises DemoError if the Hub
    does not start. `python`: the Python that runs JupyterHub, this one by default. It must find hublaunch.
    """

    def __init__(
        self,
        *,
        state: Path,
        proxy_command: Sequence[str],
        public_port: int = 8000,
        config: Path = CONFIG,
        python: str | None = None,
        start_timeout_s: float = 60.0,
        stop_timeout_s: float = 20.0,
    ) -> None:
        self.state = state.resolve()
        self.log_path = self.state / "jupyterhub.log"
        self.token = secrets.token_hex(16)
        self.public_url = f"http://127.0.0.1:{free_port(public_port)}/"
        self._hub_url = f"http://127.0.0.1:{free_port()}/"
        self._proxy_api_url = f"http://127.0.0.1:{free_port()}/"
        self.local_url = self._hub_url
        self._proxy_command = proxy_command
        self._config = config
        self._python = python or sys.executable
        self._start_timeout_s = start_timeout_s
        self._stop_timeout_s = stop_timeout_s
        self._process: asyncio.subprocess.Process | None = None

    @property
    def api_url(self) -> str:
        """The API, without the proxy."""
        return f"{self.local_url}hub/api/"

    async def __aenter__(self) -> Self:
        self._prepare()
        await self._start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stop(self._running)

    async def _start(self) -> None:
        """Start it, and return once it answers."""
        with self.log_path.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                self._python,
                *("-m", "jupyterhub", "-f", str(self._config)),
                cwd=self.state,
                env=self._environment(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for this process alone
            )
        try:
            async with asyncio.timeout(self._start_timeout_s):
                await self._wait_until_it_answers(self._process)
        except BaseException as error:
            await self._stop(self._process)
            if isinstance(error, TimeoutError):
                raise DemoError(f"JupyterHub did not start in time.\n{self._log_tail()}") from error
            raise

    @property
    def pid(self) -> int:
        """The id of the Hub's process."""
        return self._running.pid

    async def wait(self) -> int:
        """Return the Hub's exit status once it has ended."""
        return await self._running.wait()

    @property
    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise RuntimeError("The Hub runs only within `async with`.")
        return self._process

    def _prepare(self) -> None:
        kill_marked_processes(self.state)
        (self.state / "home").mkdir(parents=True, exist_ok=True)
        settings = self.state / "jupyter" / "labconfig"
        settings.mkdir(parents=True, exist_ok=True)
        (settings / "default_setting_overrides.json").write_text(json.dumps(_NO_NEWS))
        # Another process may have the id in proxy.pid by now, and the Hub would end it.
        for name in ("jupyterhub.sqlite", "jupyterhub.log", "proxy.pid"):
            (self.state / name).unlink(missing_ok=True)

    def _environment(self) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTERHUB_", "LAUNCHER_"))}
        return own | {
            MARK: str(self.state),
            "HUBLAUNCH_DEMO_PARENT": str(os.getpid()),
            "HUBLAUNCH_DEMO_PUBLIC_URL": self.public_url,
            "HUBLAUNCH_DEMO_HUB_URL": self._hub_url,
            "HUBLAUNCH_DEMO_PROXY_API_URL": self._proxy_api_url,
            "HUBLAUNCH_DEMO_TOKEN": self.token,
            "HUBLAUNCH_DEMO_PROXY_COMMAND": json.dumps(list(self._proxy_command)),
        }

    async def _wait_until_it_answers(self, process: asyncio.subprocess.Process) -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=2) as http:
            for url in (self.api_url, f"{self.public_url}hub/api/"):
                while not await _answers(http, url):
                    if process.returncode is not None:
                        raise DemoError(f"JupyterHub ended while it was starting.\n{self._log_tail()}")
                    await asyncio.sleep(_POLL_S)

    async def _stop(self, process: asyncio.subprocess.Process) -> None:
        if process.returncode is None:
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), self._stop_timeout_s)
        except TimeoutError:
            process.kill()
        finally:  # also when this is cancelled, as by a second Ctrl-C
            kill_marked_processes(self.state)
            await process.wait()

    def _log_tail(self) -> str:
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-15:])


def free_port(preferred: int = 0) -> int:
    """Return a free port of the loopback address: the preferred one, or the next free one; 0 means any."""
    for port in range(preferred, min(preferred + _PORTS_TRIED, 65536)) if preferred else (0,):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    raise DemoError(f"No port from {preferred} on is free on 127.0.0.1.")


async def _answers(http: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(url)).status_code == 200
    except httpx.HTTPError:
        return False
