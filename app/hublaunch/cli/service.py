"""`hublaunch serve` and `hublaunch demo`: the service itself."""

import asyncio
import gc
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")]
Host = Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")]
State = Annotated[Path, typer.Option(help="Directory for everything the demo writes.")]
Cors = Annotated[
    list[str] | None,
    typer.Option(metavar="ORIGIN", help="Let pages of this origin launch, such as http://localhost:5500; repeatable."),
]
Spawns = Annotated[int, typer.Option(min=1, help="Launches at JupyterHub at once; more launches wait in the queue.")]
Check = Annotated[bool, typer.Option("--check", help="Launch once, run 1+1 in a kernel, clean up, and exit.")]


def serve(host: Host = "127.0.0.1", port: Port = 8083) -> None:
    """Serve the API beside a JupyterHub.

    Settings come from the environment and from .env; at least LAUNCHER_HUB_URL, LAUNCHER_HUB_API_TOKEN and
    LAUNCHER_ALLOWED_IMAGES are needed. .env.example lists all of them.

    SIGTERM and Ctrl-C end open streams politely and exit with 0 within LAUNCHER_DRAIN_S; launches go on in the other
    replicas, or at the next start. Exits with 1 for a fault in the settings, and with 3 if it cannot start for another
    reason.
    """
    gc.disable()  # until the service has started: nothing of what it imports is garbage
    from hublaunch.main import create_app  # noqa: PLC0415  # the command line stays light
    from hublaunch.serving.server import ServiceServer, server_config  # noqa: PLC0415
    from hublaunch.wiring.startup import settings_or_exit  # noqa: PLC0415

    settings = settings_or_exit()
    server = ServiceServer(server_config(create_app(settings), settings, host=host, port=port))
    # uvicorn raises the signal that stopped it once more when all is over. That was then no failure, so it is heard
    # out and exit is 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server.run()


def demo(
    state: State = Path(".demo"),
    port: Port = 8083,
    cors: Cors = None,
    spawns: Spawns = 9,
    *,
    check: Check = False,
) -> None:
    """Run a real JupyterHub with hublaunch beside it, on this machine, until Ctrl-C.

    Servers are local processes from this Python environment, whatever image is named; the demo lists images that show
    a slow start and failures. Needs `pip install 'hublaunch[demo]'`, and a Node.js (`pip install 'hublaunch[node]'`
    brings one). Of all settings only LAUNCHER_CORS_ORIGINS is read, beside --cors.
    """
    from hublaunch.demo.run import run_demo  # noqa: PLC0415

    sys.exit(asyncio.run(run_demo(state=state, port=port, check=check, cors=cors or (), spawns=spawns)))
