"""A JupyterHub and its proxy as child processes, none of which outlives it."""

import asyncio
import ctypes
import json
import os
import secrets
import signal
import socket
import sys
from pathlib import Path
from typing import Self

import httpx

from app.demo.errors import DemoError

CONFIG = Path(__file__).with_name("jupyterhub_config.py")
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
_POLL_S = 0.1
_PR_SET_PDEATHSIG = 1
_NO_NEWS = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}


class HubProcess:
    """The demo's JupyterHub, running while the context manager is open.

    Its log, database and users' homes are below `state`. On leaving, servers, proxy and Hub are ended, with SIGKILL if
    they do not end by themselves. Should this process be killed, Linux ends the Hub, and the Hub its children.
    """

    def __init__(self, *, state: Path, proxy_command: list[str], public_port: int = 8000) -> None:
        self.state = state.resolve()
        self.log_path = self.state / "jupyterhub.log"
        self.token = secrets.token_hex(16)
        self.public_url = f"http://127.0.0.1:{free_port(public_port)}/"
        self._hub_url = f"http://127.0.0.1:{free_port()}/"
        self.api_url = f"{self._hub_url}hub/api/"
        self._proxy_command = proxy_command
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        self._prepare()
        with self.log_path.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "jupyterhub",
                "-f",
                str(CONFIG),
                cwd=self.state,
                env=self._environment(),
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await self._wait_until_it_answers()
        except BaseException as error:
            await self._stop()
            if isinstance(error, TimeoutError):
                raise DemoError(f"JupyterHub did not start in time.\n{self._log_tail()}") from error
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stop()

    @property
    def pid(self) -> int:
        """The Hub's process."""
        assert self._process
        return self._process.pid

    def _prepare(self) -> None:
        (self.state / "home").mkdir(parents=True, exist_ok=True)
        settings = self.state / "jupyter" / "labconfig"
        settings.mkdir(parents=True, exist_ok=True)
        (settings / "default_setting_overrides.json").write_text(json.dumps(_NO_NEWS))
        for name in ("jupyterhub.sqlite", "jupyterhub.log"):
            (self.state / name).unlink(missing_ok=True)

    def _environment(self) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTERHUB_", "LAUNCHER_"))}
        return own | {
            "HUBLAUNCH_DEMO_STATE": str(self.state),
            "HUBLAUNCH_DEMO_PUBLIC_URL": self.public_url,
            "HUBLAUNCH_DEMO_HUB_URL": self._hub_url,
            "HUBLAUNCH_DEMO_PROXY_API_URL": f"http://127.0.0.1:{free_port()}/",
            "HUBLAUNCH_DEMO_TOKEN": self.token,
            "CHP_COMMAND": "\n".join(self._proxy_command),
        }

    async def _wait_until_it_answers(self) -> None:
        assert self._process
        async with httpx.AsyncClient(trust_env=False, timeout=2) as http:
            for url in (self.api_url, f"{self.public_url}hub/api/"):
                while not await _answers(http, url):
                    if self._process.returncode is not None:
                        raise DemoError(f"JupyterHub ended while it was starting.\n{self._log_tail()}")
                    await asyncio.sleep(_POLL_S)

    async def _stop(self) -> None:
        """The Hub ends its servers and its proxy. Whatever is left of its session after that is killed."""
        assert self._process
        if self._process.returncode is None:
            self._process.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        for pid in self._leftovers():
            _kill(pid)

    def _leftovers(self) -> list[int]:
        """Processes that were started by this Hub: its own id stands in their environment. Linux only."""
        mark = f"HUBLAUNCH_DEMO_TOKEN={self.token}".encode()
        server_mark = f"JUPYTERHUB_API_URL={self.api_url.rstrip('/')}".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                environment = (entry / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if mark in environment or server_mark in environment:
                found.append(int(entry.name))
        return found

    def _log_tail(self) -> str:
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-15:])


def free_port(preferred: int = 0) -> int:
    """A port of the loopback address: the preferred one, or else any that is free."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    raise DemoError("There is no free port on 127.0.0.1.")


async def _answers(http: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(url)).status_code == 200
    except httpx.HTTPError:
        return False


def _die_with_parent() -> None:
    """In the child: have Linux send it SIGTERM when the process that started it is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
