"""`hublaunch demo`: JupyterHub in a child process, hublaunch in this one."""

import asyncio
import importlib.util
import json
import logging
import shlex
import shutil
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from hublaunch.demo.check import CHECK_BODY, check_launch
from hublaunch.demo.errors import DemoError
from hublaunch.demo.images import SIMULATED_IMAGES
from hublaunch.demo.process import HubProcess, free_port
from hublaunch.demo.proxy import proxy_command, proxy_directory
from hublaunch.demo.queue import launches_ahead
from hublaunch.demo.settings import DemoSettings, allowed_origins, demo_settings
from hublaunch.main import create_app
from hublaunch.serving.server import ServiceServer, server_config
from hublaunch.store.errors import StoreError
from hublaunch.store.sqlite import FileLock
from hublaunch.wiring.logs import configure_logging

log = logging.getLogger(__name__)

_LOOPBACK = "127.0.0.1"
"""The demo runs programs for anybody who has its address. So it listens on loopback, below a random path."""
_LOCK = "demo.lock"


async def run_demo(
    *, state: Path, port: int, check: bool, cors: Sequence[str], spawns: int, warm: int, queue: int = 0
) -> int:
    """Run until Ctrl-C or SIGTERM, or with `check` until one launch has been tried. Return the exit status.

    `cors`: origins whose pages may launch, in addition to LAUNCHER_CORS_ORIGINS. `spawns`: most launches at the Hub at
    once. `warm`: servers that are kept ready. `queue`: the position in the queue at which each launch begins to wait,
    or 0 for no queue.

    All files are below `state`, which one demo uses at a time; its launches are kept for the next run. No process is
    left behind. A second Ctrl-C kills the servers instead of waiting for them.
    """
    running = _run(state, port=port, check=check, cors=cors, spawns=spawns, warm=warm, queue=queue)
    work = asyncio.create_task(running)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, work.cancel)
    try:
        return await work
    except asyncio.CancelledError:
        print("\nThe demo has ended.")
        return 1 if check else 0  # an interrupted check has not passed
    except (DemoError, StoreError) as error:
        print(error, file=sys.stderr)
        return 1


async def _run(state: Path, *, port: int, check: bool, cors: Sequence[str], spawns: int, warm: int, queue: int) -> int:
    _require_jupyter()
    origins = allowed_origins(cors)
    with _sole_user(state):
        configure_logging("WARNING")
        print("Starting JupyterHub ...", flush=True)
        proxy = await asyncio.to_thread(proxy_command, proxy_directory(state))
        async with HubProcess(state=state, proxy_command=proxy) as hub:
            settings = demo_settings(hub, origins=origins, spawns=spawns, warm=warm)
            return await _serve(hub, settings, port=free_port(port), check=check, queue=queue)


def _require_jupyter() -> None:
    if not all(map(importlib.util.find_spec, ("jupyterhub", "jupyterlab", "ipykernel", "nbgitpuller"))):
        raise DemoError("The demo needs JupyterHub and JupyterLab: pip install 'hublaunch[demo]'")


@contextmanager
def _sole_user(state: Path) -> Generator[None]:
    lock = FileLock(state / _LOCK)
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        _require_own(state)
        acquired = lock.acquire()
    except OSError as error:
        raise DemoError(f"{state} cannot be used as the demo's directory: {error.strerror}.") from error
    if not acquired:
        raise DemoError(f"Another demo runs in {state}. Stop it, or name another directory with --state.")
    try:
        yield
    finally:
        lock.release()


def _require_own(state: Path) -> None:
    """Refuse a directory with other files: the demo deletes the Hub's database, which could be that of a real Hub."""
    if any(state.iterdir()) and not (state / _LOCK).exists():
        raise DemoError(f"{state} contains files that are not the demo's. Name a new or empty directory with --state.")


async def _serve(hub: HubProcess, settings: DemoSettings, *, port: int, check: bool, queue: int = 0) -> int:
    log.warning("Demo: every image is allowed, but servers run from the local Python environment")
    url = f"http://{_LOOPBACK}:{port}{settings.prefix}"
    ahead = settings.max_concurrent_spawns - 1 + queue if queue else 0
    async with _served(settings, port) as serving, launches_ahead(url, count=ahead):
        if check:
            return await check_launch(url, hub)
        print(_welcome(url, hub, settings), flush=True)
        await _until_either_ends(serving, hub)
    return 0


async def _until_either_ends(serving: asyncio.Task[None], hub: HubProcess) -> None:
    hub_end = asyncio.create_task(hub.wait())
    try:
        # asyncio.wait cancels neither: `_served` stops the server, and HubProcess the Hub.
        await asyncio.wait({serving, hub_end}, return_when=asyncio.FIRST_COMPLETED)
        if hub_end.done():
            raise DemoError(f"JupyterHub ended with exit status {hub_end.result()}. See {hub.log_path}.")
    finally:
        hub_end.cancel()


class _Server(ServiceServer):
    """A server that leaves signals and the exit to the demo, which has more to stop."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets=sockets)
        except SystemExit:  # uvicorn has logged why; raised in a task, it would end the event loop
            self.should_exit = True


@asynccontextmanager
async def _served(settings: DemoSettings, port: int) -> AsyncGenerator[asyncio.Task[None]]:
    server = _Server(server_config(create_app(settings), settings, host=_LOOPBACK, port=port))
    serving = asyncio.create_task(server.serve())
    try:
        while not server.started:
            if serving.done():
                raise DemoError("hublaunch could not start. The lines above say why.")
            await asyncio.sleep(0.02)
        yield serving
    finally:
        server.should_exit = True
        await serving


def _warm(command: str, settings: DemoSettings) -> str:
    if not settings.max_warm_servers:
        return f"To keep a server of scipy ready, so that it opens at once: {command} demo --warm 1"
    return (
        f"A server of scipy in this size is kept ready, so it opens at once. To turn that off: {command} demo --warm 0"
    )


def _welcome(url: str, hub: HubProcess, settings: DemoSettings) -> str:
    body = json.dumps(CHECK_BODY)
    command = (
        "hublaunch" if shutil.which("hublaunch") else shlex.quote(str(Path(sys.executable).with_name("hublaunch")))
    )
    simulated = "\n".join(f"  {simulated.image:32}  {simulated.shows}" for simulated in SIMULATED_IMAGES)
    origins = (
        f"Pages of these origins may launch: {', '.join(settings.cors_origins)}."
        if settings.cors_origins
        else (f"To let pages of another origin launch, name that origin: {command} demo --cors http://localhost:5500")
    )
    return f"""
Launch at {url}/ (API: {url}/docs)
JupyterHub runs at {hub.public_url} (log: {hub.log_path})

Anybody with this address can run programs as you. It contains a key that changes at each start. In a shell, first run:

  export HUBLAUNCH_URL={url}/

then launch, and open it:

  {command} launch {CHECK_BODY["image"]} --repo {CHECK_BODY["repo_url"]} --open

or use the API, and open the open_url of the event `ready`:

  curl -N -H 'Accept: text/event-stream' -H 'Content-Type: application/json' \\
       -d '{body}' \\
       "${{HUBLAUNCH_URL}}launch"

or launch an environment of the catalogue by its name ({command} catalogue lists them):

  {command} launch scipy --size small --open

{_warm(command, settings)}

Servers run from the local Python environment, whatever you choose. These images show a slow start and failures:

{simulated}

To see every launch wait in the queue, here at position 3: {command} demo --queue 3
{origins}

Ctrl-C ends everything.
"""
