"""A real JupyterHub as a child process of the tests: no proxy, no server processes, no files left behind."""

import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

_ROOT = Path(__file__).parents[2]
_START_WITHIN_S = 120


class RealHub:
    """Runs the JupyterHub of a Python, this one by default, which needs no other package.

    `with RealHub() as hub:` returns once the API answers. Raises RuntimeError with the Hub's log if it does not. The
    Hub ends with the block, or at the latest with this process, even if it is killed.
    """

    def __init__(self, *, python: str = sys.executable, base_url: str = "/") -> None:
        self._python = python
        self.base_url = base_url
        self.api_token = secrets.token_hex(16)
        self.url = ""
        """The Hub's own address with the base URL, ending in a slash."""

    def __enter__(self) -> Self:
        self._directory = tempfile.TemporaryDirectory(prefix="hublaunch-test-hub-")
        self._log = Path(self._directory.name, "hub.log")
        public, api = (f"http://127.0.0.1:{port}" for port in _free_ports(2))
        self.url = f"{api}{self.base_url}"
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": self._directory.name,
            "PYTHONPATH": str(_ROOT),
            "TEST_HUB_DIRECTORY": self._directory.name,
            "TEST_HUB_TOKEN": self.api_token,
            "TEST_HUB_BIND_URL": f"{public}{self.base_url}",
            "TEST_HUB_API_BIND_URL": api,
        }
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [self._python, "-m", "jupyterhub", "--config", str(Path(__file__).with_name("config.py"))],
                cwd=self._directory.name,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self._wait()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_WITHIN_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                httpx.get(f"{self.url}hub/api/", trust_env=False, verify=False).raise_for_status()
            except httpx.HTTPError:
                time.sleep(0.05)
            else:
                return
        raise RuntimeError(f"The JupyterHub of {self._python} did not start. Its log:\n{self.log()}")

    def _end(self) -> None:
        """Kill the Hub. It needs no clean-up, because it has no children and its database is in memory."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._directory.cleanup()


def _free_ports(count: int) -> list[int]:
    """Return distinct free ports. All are held until the last is found."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
