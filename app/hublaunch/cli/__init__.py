"""`hublaunch`: the command line.

Each command imports what it needs when it runs, so that the commands of callers work without `hublaunch[server]`.
"""

import sys
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from hublaunch.cli import (
    admin_link,
    catalogue,
    database,
    doctor,
    drain,
    guard,
    image,
    invite,
    keys,
    launches,
    pool,
    service,
    show,
    top,
)
from hublaunch.cli.exits import EXITS, INTERRUPTED, USAGE


class _Commands(TyperGroup):
    """Exits with 130 on Ctrl-C, where Click has 1, and names the extra that a command lacks."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except ModuleNotFoundError as error:
            command = ctx.invoked_subcommand
            extra = "demo" if command == "demo" else "server"
            typer.echo(
                f"hublaunch {command} needs {error.name}, which is not installed. "
                f"Run: pip install 'hublaunch[{extra}]'",
                err=True,
            )
            raise typer.Exit(USAGE) from None


cli = typer.Typer(
    name="hublaunch",
    cls=_Commands,
    help=(
        "Launch Jupyter servers on a JupyterHub: name an image or an environment, and a repository, and get the "
        "address of a ready server.\n\n`launch`, `catalogue`, `watch`, `extend`, `list` and `cancel` call a running "
        "service (HUBLAUNCH_URL). The other commands are for operators and need `pip install 'hublaunch[server]'`."
    ),
    epilog=EXITS,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)

_CALLERS, _OPERATORS = "Launching", "Running the service"

cli.command("launch", rich_help_panel=_CALLERS, epilog=EXITS)(launches.launch)
cli.command("catalogue", rich_help_panel=_CALLERS)(catalogue.catalogue)
cli.command("watch", rich_help_panel=_CALLERS, epilog=EXITS)(launches.watch)
cli.command("extend", rich_help_panel=_CALLERS)(launches.extend)
cli.command("list", rich_help_panel=_CALLERS)(launches.list_launches)
cli.command("cancel", rich_help_panel=_CALLERS)(launches.cancel)
cli.command("serve", rich_help_panel=_OPERATORS)(service.serve)
cli.command("demo", rich_help_panel=_OPERATORS)(service.demo)
cli.command("doctor", rich_help_panel=_OPERATORS)(doctor.doctor)
cli.command("show", rich_help_panel=_OPERATORS)(show.show)
cli.command("top", rich_help_panel=_OPERATORS)(top.top)
cli.command("drain", rich_help_panel=_OPERATORS)(drain.drain)
cli.command("admin-link", rich_help_panel=_OPERATORS)(admin_link.admin_link)
cli.add_typer(database.database, rich_help_panel=_OPERATORS)
cli.add_typer(guard.guard, rich_help_panel=_OPERATORS)
cli.add_typer(image.image, rich_help_panel=_OPERATORS)
cli.add_typer(invite.invite, rich_help_panel=_OPERATORS)
cli.add_typer(keys.keys, rich_help_panel=_OPERATORS)
cli.add_typer(pool.pool, rich_help_panel=_OPERATORS)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"hublaunch {version('hublaunch')}")
        raise typer.Exit


@cli.callback()
def _of_all_commands(
    *,
    show_version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """Handle the options before the command."""


def main() -> None:
    """Run the command line; the console script."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # the caller may have closed the stream
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    cli()
