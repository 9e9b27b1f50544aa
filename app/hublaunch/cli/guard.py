"""`hublaunch guard`: show the Hub guard, and reset it."""

from typing import Annotated

import typer

from hublaunch.cli.audited import audited, reported_faults

guard = typer.Typer(
    name="guard",
    invoke_without_command=True,
    rich_markup_mode="markdown",
)


@guard.callback()
def show_guard(context: typer.Context) -> None:
    """Show or reset the Hub guard, which keeps failed spawns from stopping JupyterHub.

    Without a command, it says whether launches are held back, why, and which images are refused. It reads the database,
    so run it where the service gets its settings (LAUNCHER_…, .env). Needs `pip install 'hublaunch[server]'`.
    For example:

        hublaunch guard
    """
    if context.invoked_subcommand is not None:
        return
    from hublaunch.doctor.guard import guard_lines  # noqa: PLC0415 - needs the server extra

    with reported_faults():
        typer.echo("\n".join(guard_lines()))


@guard.command("clear")
def clear_guard(
    image: Annotated[str, typer.Option(help="Allow only this image again.")] = "",
) -> None:
    """Reset the count of failed spawns to zero, as JupyterHub does when it restarts or a server becomes ready.

    Run it where the service gets its settings: it writes to the database, and the service resumes within a second.
    For example:

        hublaunch guard clear --image quay.io/jupyter/base-notebook:latest
    """
    from hublaunch.doctor.guard import clear_guard as clear  # noqa: PLC0415 - as above

    with reported_faults(), audited() as audit:
        done = clear(image or None)
        audit("guard_cleared", image=image or None)
    typer.echo(done)
