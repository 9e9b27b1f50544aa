"""The hublaunch processes of a run, and the faults applied to them."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import aiohttp

from tests.chaos.plan import ProcessFault
from tests.support.programs import until_ready

PROJECT = Path(__file__).parents[2]


class Replica:
    """One `hublaunch serve`, always on the same port, which is started again after it was killed."""

    def __init__(self, number: int, command: Sequence[str], *, environment: Mapping[str, str], log: IO[bytes]) -> None:
        self.number = number
        self.lock = asyncio.Lock()
        """Held while a fault is applied to the process."""
        self._command = command
        self._environment = {**os.environ, "PYTHONPATH": str(PROJECT), **environment}
        self._log = log
        # Bound but never listened on, so that no other program gets the port while the process is down.
        self._reservation = socket.socket()
        self._reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reservation.bind(("127.0.0.1", 0))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._reservation.getsockname()[1]}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        port = str(self._reservation.getsockname()[1])
        self._note("started")
        self._process = subprocess.Popen(
            [*self._command, "--port", port],
            env=self._environment,
            cwd=Path(self._log.name).parent,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process unless it has ended."""
        self._note(number.name)
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    async def until_ended(self) -> int:
        assert self._process is not None
        return await asyncio.to_thread(self._process.wait)

    def end(self) -> None:
        """Kill the process, frozen or not, and release the port."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._reservation.close()

    def _note(self, what: str) -> None:
        self._log.write(f"=== chaos, at {datetime.now(UTC):%H:%M:%S.%f}: {what}\n".encode())
        self._log.flush()


class Replicas:
    """All processes of one run."""

    def __init__(self, count: int, *, module: str, environment: Mapping[str, str], directory: Path) -> None:
        command = [sys.executable, "-m", module, "serve"]
        self._logs = [(directory / f"replica-{n}.log").open("ab") for n in range(count)]
        self.each = [Replica(n, command, environment=environment, log=log) for n, log in enumerate(self._logs)]
        self.done: Counter[str] = Counter()
        """The number of times each fault was applied."""
        self.surprises: list[str] = []

    async def __aenter__(self) -> Self:
        for replica in self.each:
            replica.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for replica in self.each:
            replica.end()
        for log in self._logs:
            log.close()

    async def until_ready(self, http: aiohttp.ClientSession) -> None:
        for replica in self.each:
            await until_ready(http, replica.url)

    async def suffer(self, fault: ProcessFault, http: aiohttp.ClientSession) -> None:
        """Apply the fault to a process after any earlier fault of that process is over. The process then runs again."""
        replica = self.each[fault.replica % len(self.each)]
        async with replica.lock:
            self.done[fault.action] += 1
            if fault.action in ("freeze", "freeze_and_kill"):
                replica.send(signal.SIGSTOP)
                await asyncio.sleep(fault.frozen_s)
            match fault.action:
                case "freeze":
                    replica.send(signal.SIGCONT)
                    return
                case "kill" | "freeze_and_kill":
                    replica.send(signal.SIGKILL)
                    expected = -signal.SIGKILL
                case "stop":
                    await until_ready(http, replica.url)  # SIGTERM would kill a Python that is still starting
                    replica.send(signal.SIGTERM)
                    expected = 0
            status = await replica.until_ended()
            if status != expected:
                self.surprises.append(f"replica {replica.number} ended with {status} after {fault.action}")
            await asyncio.sleep(fault.down_s)
            replica.start()

    @property
    def kills(self) -> int:
        return self.done["kill"] + self.done["freeze_and_kill"]
