"""`hublaunch`: the command line.

Each command imports what it needs when it is called, so that `launch` and its like need nothing of the service.
"""

import typer

from app.cli import doctor, guard, keys, launches, service
from app.cli.exits import EXITS

cli = typer.Typer(
    name="hublaunch",
    help="Launch-as-a-service for JupyterHub: hand it an image and a repository URL, get a ready Jupyter server.",
    epilog=EXITS,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)

_CALLERS, _OPERATORS = "Launching", "Running the service"

cli.command("launch", rich_help_panel=_CALLERS, epilog=EXITS)(launches.launch)
cli.command("watch", rich_help_panel=_CALLERS, epilog=EXITS)(launches.watch)
cli.command("list", rich_help_panel=_CALLERS)(launches.list_launches)
cli.command("cancel", rich_help_panel=_CALLERS)(launches.cancel)
cli.command("serve", rich_help_panel=_OPERATORS)(service.serve)
cli.command("demo", rich_help_panel=_OPERATORS)(service.demo)
cli.command("doctor", rich_help_panel=_OPERATORS)(doctor.doctor)
cli.add_typer(guard.guard, rich_help_panel=_OPERATORS)
cli.add_typer(keys.keys, rich_help_panel=_OPERATORS)


def main() -> None:
    """The console script."""
    cli()
