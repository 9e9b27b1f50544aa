"""`hublaunch`: the command line."""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

cli = typer.Typer(
    name="hublaunch",
    help="Launch-as-a-service for JupyterHub: hand it an image and a repository URL, get a ready Jupyter server.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")]
Host = Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")]
State = Annotated[Path, typer.Option(help="Directory for everything the demo writes.")]
Check = Annotated[bool, typer.Option("--check", help="Launch once, run 1+1 in a kernel, clean up, and exit.")]


@cli.callback()
def _root() -> None:
    """Keep the commands below subcommands."""


@cli.command()
def serve(host: Host = "127.0.0.1", port: Port = 8083) -> None:
    """Serve the API beside a JupyterHub.

    Settings come from the environment and from .env; at least LAUNCHER_HUB_URL, LAUNCHER_HUB_API_TOKEN and
    LAUNCHER_ALLOWED_IMAGES are needed. .env.example lists all of them.

    SIGTERM and Ctrl-C end open streams politely and exit with 0; launches go on at the next start. Exits with 1 for a
    fault in the settings, and with 3 if it cannot start for another reason.
    """
    import uvicorn  # noqa: PLC0415  # the command line stays light

    from app.main import create_app  # noqa: PLC0415
    from app.serving import server_config  # noqa: PLC0415

    config = server_config(create_app(), host=host, port=port)
    # uvicorn raises the signal that stopped it once more when all is over. That was then no failure, so it is heard
    # out and exit is 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    uvicorn.Server(config).run()


@cli.command()
def demo(
    state: State = Path(".demo"),
    port: Port = 8083,
    *,
    check: Check = False,
) -> None:
    """Run a real JupyterHub with hublaunch beside it, on this machine, until Ctrl-C.

    Servers are local processes from this Python environment, whatever image is named. Needs
    `pip install 'hublaunch[demo]'`, and a Node.js (`pip install 'hublaunch[node]'` brings one).
    """
    from app.demo.run import run_demo  # noqa: PLC0415

    sys.exit(asyncio.run(run_demo(state=state, port=port, check=check)))


def main() -> None:
    """The console script."""
    cli()


if __name__ == "__main__":
    main()
