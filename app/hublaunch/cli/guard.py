"""`hublaunch guard`: how the Hub guard stands, and letting launches through again."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated

import typer

from hublaunch.cli.audited import audited
from hublaunch.cli.exits import FAILED

guard = typer.Typer(
    name="guard",
    help="The Hub guard, which keeps failed spawns from ending JupyterHub (LAUNCHER_HUB_GUARD).",
    invoke_without_command=True,
)


@guard.callback()
def show_guard(context: typer.Context) -> None:
    """Tell how things stand: whether launches are held back, why, and which images are refused."""
    if context.invoked_subcommand is not None:
        return
    from hublaunch.doctor.guard import guard_lines  # noqa: PLC0415 - the command line stays light

    with _told_faults():
        typer.echo("\n".join(guard_lines()))


@guard.command("clear")
def clear_guard(
    image: Annotated[str, typer.Option(help="Let this image through again, and nothing else.")] = "",
) -> None:
    """Count failed spawns from nothing again, as JupyterHub does once it was restarted or a server was ready.

    Run it where the service runs: it writes into the database of LAUNCHER_DATABASE_URL, and the service goes on within
    a second.
    """
    from hublaunch.doctor.guard import clear_guard as clear  # noqa: PLC0415 - as above

    with _told_faults(), audited() as audit:
        done = clear(image or None)
        audit("guard_cleared", image=image or None)
    typer.echo(done)


@contextmanager
def _told_faults() -> Generator[None]:
    from hublaunch.launch.errors import InvalidRequest  # noqa: PLC0415 - as above
    from hublaunch.settings import SettingsFault  # noqa: PLC0415 - as above
    from hublaunch.store.errors import StoreError  # noqa: PLC0415 - as above

    try:
        yield
    except (InvalidRequest, SettingsFault, StoreError) as fault:
        typer.echo(str(fault), err=True)
        raise typer.Exit(FAILED) from None
