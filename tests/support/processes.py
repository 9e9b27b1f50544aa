"""hublaunch as separate processes, which tests can kill, freeze and stop."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx

from tests.support.served import BODY, read_events


class HubAddress(Protocol):
    """A Hub, fake or real, as hublaunch needs it for its settings."""

    @property
    def url(self) -> str: ...

    @property
    def api_token(self) -> str: ...


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def started(*arguments: str, **variables: str) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Run a Python module as a process."""
    async with _running(sys.executable, "-m", *arguments, **variables) as process:
        yield process


@asynccontextmanager
async def _running(*command: str, **variables: str) -> AsyncGenerator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *command,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])} | variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def until_running(process: asyncio.subprocess.Process) -> str:
    """Return the process's log once it accepts requests."""
    assert process.stdout
    said = ""
    async with asyncio.timeout(30):
        while "Uvicorn running" not in said:
            line = await process.stdout.readline()
            assert line, said
            said += line.decode()
    return said


@dataclass
class Replica:
    """A `hublaunch serve` that accepts requests."""

    process: asyncio.subprocess.Process
    http: httpx.AsyncClient
    logs: list[str] = field(default_factory=list)
    """The log, once the process has ended."""

    def freeze(self) -> None:
        """Freeze the process, and return once it has stopped."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    async def kill(self) -> None:
        """Kill the process with SIGKILL."""
        self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def replica(
    hub: HubAddress, database_url: str, port: int | None = None, files: int | None = None, /, **variables: str
) -> AsyncGenerator[Replica]:
    """Run a replica on this database. It is killed on leaving if it still runs.

    `files`: the most files that it may open.
    """
    port = port or free_port()
    settings = {
        "LAUNCHER_HUB_URL": hub.url,
        "LAUNCHER_HUB_API_TOKEN": hub.api_token,
        "LAUNCHER_ALLOWED_IMAGES": "*",
        "LAUNCHER_DATABASE_URL": database_url,
        "LAUNCHER_SECRET_KEY": "0123456789abcdef0123456789abcdef",
        "LAUNCHER_LEASE_S": "1",
        "LAUNCHER_RETRY_DELAY": "0.1",
    }
    limit = () if files is None else ("sh", "-c", f'ulimit -n {files} && exec "$@"', "sh")
    command = (*limit, sys.executable, "-m", "hublaunch.cli", "serve", "--port", str(port))
    async with _running(*command, **settings | variables) as process:
        await until_running(process)
        draining = asyncio.create_task(_drain(process))
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", trust_env=False, verify=False, timeout=15
        ) as http:
            one = Replica(process, http)
            try:
                yield one
            finally:
                if process.returncode is None:
                    process.kill()
                one.logs.append(await draining)


async def launch(at: Replica, body: Mapping[str, Any] = BODY, /, **headers: str) -> dict[str, Any]:
    answer = await at.http.post("/launch", json=body, headers=headers)
    assert answer.status_code == 202, answer.text
    accepted: dict[str, Any] = answer.json()
    return accepted


async def events(at: Replica, accepted: dict[str, Any], *, after: int = 0) -> list[dict[str, Any]]:
    """Return all events above `after`, once the stream has ended."""
    async with at.http.stream("GET", accepted["events_url"], headers={"Last-Event-ID": str(after)}) as stream:
        assert stream.headers["X-Launch-Cursor"] == str(after)
        return [event async for event in read_events(stream)]


async def _drain(process: asyncio.subprocess.Process) -> str:
    """Read the log until the process ends, so that the process never waits for a reader."""
    assert process.stdout
    return (await process.stdout.read()).decode()
