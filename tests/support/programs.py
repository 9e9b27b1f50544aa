"""The processes that benchmarks run, and their databases."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, Coroutine, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import uvloop

from tests.support.postgres import running_postgres
from tests.support.processes import free_port

T = TypeVar("T")


def run_to_end(work: Coroutine[Any, Any, T]) -> T:
    """Return the result of the work. SIGTERM ends it as Ctrl-C does, with everything that it started."""

    async def stoppable() -> T:
        task = asyncio.ensure_future(work)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await task

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(stoppable())


@contextmanager
def new_database(kind: str, directory: Path) -> Generator[str]:
    """Yield the URL of a new database: a SQLite file in the directory, or one on a temporary PostgreSQL."""
    if kind == "sqlite":
        yield f"sqlite:///{directory}/hublaunch.sqlite"
        return
    with running_postgres() as postgres:
        yield postgres.database()


@asynccontextmanager
async def process(*arguments: str, stdin: str = "", **environment: str) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Run a module as a process, with `stdin` on its standard input, and stop it on leaving.

    With `-c` as the first argument, it runs the code that follows.
    """
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *(arguments if arguments[0] == "-c" else ("-m", *arguments)),
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])} | environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**20,
    )
    try:
        assert child.stdin
        child.stdin.write(stdin.encode())
        child.stdin.close()
        yield child
    finally:
        if child.returncode is None:
            child.terminate()
        await child.wait()


@asynccontextmanager
async def fake_hub(*options: str) -> AsyncGenerator[dict[str, str]]:
    """Run a fake Hub and yield its `url`, `api_url` and `token`; options as in `tests/fakes/hub_process.py`."""
    async with process("tests.fakes.hub_process", *options) as child:
        assert child.stdout
        address: dict[str, str] = json.loads(await child.stdout.readline())
        yield address


@asynccontextmanager
async def serve(
    hub: dict[str, str], directory: Path, *, program: Sequence[str] = ("hublaunch.cli",), **settings: str
) -> AsyncGenerator[tuple[str, int]]:
    """Run hublaunch beside this Hub, with its database in the directory. Yield its URL and process id."""
    port = free_port()
    defaults = {
        "LAUNCHER_HUB_URL": hub["url"],
        "LAUNCHER_HUB_API_TOKEN": hub["token"],
        "LAUNCHER_ALLOWED_IMAGES": "*",
        "LAUNCHER_ANONYMOUS_QUOTA": "0",
        "LAUNCHER_LOG_LEVEL": "WARNING",
        "LAUNCHER_HUB_GUARD": "off",
        "LAUNCHER_MAX_STREAMS_ADDRESS": "100000",  # all callers share one address here
        "LAUNCHER_DATABASE_URL": f"sqlite:///{directory}/hublaunch.sqlite",
    }
    async with (
        process(*program, "serve", "--port", str(port), **defaults | settings) as child,
        aiohttp.ClientSession() as session,
    ):
        url = f"http://127.0.0.1:{port}"
        await until_ready(session, url)
        yield url, child.pid


async def until_ready(session: aiohttp.ClientSession, url: str) -> None:
    """Return once hublaunch accepts launches."""
    async with asyncio.timeout(60):
        while True:
            with suppress(aiohttp.ClientConnectionError):
                async with session.get(f"{url}/readyz") as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(0.05)


def cpu_s(pid: int) -> float:
    """Return the user and system time of a process so far, to the nanosecond. Linux only, like the benchmarks."""
    return time.clock_gettime(~pid << 3 | 2)  # the clock that clock_getcpuclockid(3) returns


def rss_mb(pid: int) -> float:
    """Return the resident memory of a process, shared libraries included."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
