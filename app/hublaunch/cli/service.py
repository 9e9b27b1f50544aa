"""`hublaunch serve` and `hublaunch demo`: run the service."""

import asyncio
import gc
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 chooses a free port.")]
Host = Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")]
State = Annotated[Path, typer.Option(help="Directory for all files of the demo.")]
Cors = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ORIGIN", help="Allow pages of this origin to launch, such as http://localhost:5500; repeatable."
    ),
]
Spawns = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Launches that JupyterHub spawns at the same time; others wait in the queue. By default 9, or 1 with "
        "--queue.",
    ),
]
Queue = Annotated[
    int,
    typer.Option(
        min=0, max=20, help="Put each launch into the queue at this position, behind launches of a slow image."
    ),
]
Warm = Annotated[
    int,
    typer.Option(
        min=0, max=20, help="Servers that are ready before you ask for them, as a warm pool; 0 and --queue turn it off."
    ),
]
Check = Annotated[bool, typer.Option("--check", help="Launch once, run 1+1 in a kernel, clean up and exit.")]


def serve(host: Host = "127.0.0.1", port: Port = 8083) -> None:
    """Serve the API beside a JupyterHub.

    Settings come from the environment and from .env. LAUNCHER_HUB_URL and LAUNCHER_HUB_API_TOKEN are
    required. Until you allow images (LAUNCHER_ALLOWED_IMAGES), every launch is refused. .env.example lists all
    settings.

    SIGTERM and Ctrl-C close open streams cleanly and exit with 0 within LAUNCHER_DRAIN_S. Launches continue in the
    other replicas, or after the next start. Exits with 1 for an invalid setting, and with 3 if it cannot start for
    another reason.

    Needs `pip install 'hublaunch[server]'`. For example:

        hublaunch serve --host 0.0.0.0 --port 8083
    """
    gc.disable()  # until the service has started: imports leave no garbage
    from hublaunch.main import create_app  # noqa: PLC0415 - needs the server extra
    from hublaunch.serving.server import ServiceServer, server_config  # noqa: PLC0415
    from hublaunch.wiring.startup import settings_or_exit  # noqa: PLC0415

    settings = settings_or_exit()
    server = ServiceServer(server_config(create_app(settings), settings, host=host, port=port))
    # At its end, uvicorn raises once more the signal that stopped it. A clean stop is not a failure: ignore that signal
    # and exit with 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server.run()


def demo(
    state: State = Path(".demo"),
    port: Port = 8083,
    cors: Cors = None,
    spawns: Spawns = None,
    queue: Queue = 0,
    warm: Warm = 1,
    *,
    check: Check = False,
) -> None:
    """Run a real JupyterHub with hublaunch beside it, on this machine, until Ctrl-C.

    Servers are local processes of this Python environment, whichever image you name. The demo lists images that show a
    slow start and failures. Of the settings it reads only LAUNCHER_CORS_ORIGINS, in addition to --cors.

    Needs `pip install 'hublaunch[demo]'`, and Node.js, which `pip install 'hublaunch[node]'` installs. For example:

        hublaunch demo --port 8083 --cors http://localhost:5500
    """
    from hublaunch.demo.run import run_demo  # noqa: PLC0415

    kept = 0 if check or queue else warm  # the check is over before a warm server is ready; nobody waits for a warm one
    spawns = spawns or (1 if queue else 9)
    running = run_demo(state=state, port=port, check=check, cors=cors or (), spawns=spawns, warm=kept, queue=queue)
    sys.exit(asyncio.run(running))
