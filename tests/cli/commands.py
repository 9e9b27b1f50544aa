"""`hublaunch` run beside the service under test, in this process or in one of its own."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from hublaunch.cli import cli

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "hublaunch.cli")


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    status: int
    out: str
    err: str

    def objects(self) -> list[dict[str, Any]]:
        """Return its lines of JSON."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True)
class CommandLine:
    """A user's shell, with the address of the service and the directory of the user's state."""

    url: str
    state: Path

    @property
    def variables(self) -> dict[str, str]:
        return {
            "HUBLAUNCH_URL": self.url,
            "XDG_STATE_HOME": str(self.state),
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "120",
            "NO_PROXY": "127.0.0.1",
        }

    async def begin(
        self, *arguments: str, command: Sequence[str] = COMMAND, **variables: str
    ) -> asyncio.subprocess.Process:
        """Start a process with its output in pipes."""
        return await asyncio.create_subprocess_exec(
            *command,
            *arguments,
            env=os.environ | self.variables | variables,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, *arguments: str, **variables: str) -> Ended:
        """Run a command to its end, without a process of its own."""
        return await in_thread(*arguments, **self.variables | variables)


async def in_thread(*arguments: str, **variables: str) -> Ended:
    """Run a command to its end, in a thread of this process. An exception fails the test, as a traceback does."""
    done = await asyncio.to_thread(CliRunner(env=variables).invoke, cli, arguments)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return Ended(done.exit_code, done.stdout, done.stderr)


async def ended(process: asyncio.subprocess.Process) -> Ended:
    """Wait for the end for at most 30 s. No command may print a traceback."""
    try:
        async with asyncio.timeout(30):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        raise
    assert process.returncode is not None
    assert b"Traceback" not in err
    return Ended(process.returncode, out.decode(), err.decode())


async def interrupt(process: asyncio.subprocess.Process) -> Ended:
    """Interrupt the process as Ctrl-C does, and wait for its end."""
    process.send_signal(signal.SIGINT)
    return await ended(process)
