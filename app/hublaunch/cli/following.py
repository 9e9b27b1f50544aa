"""Following one launch to its end, on a terminal or not, and what Ctrl-C means meanwhile."""

import asyncio
import sys
from collections.abc import Mapping
from contextlib import suppress

import typer

from hublaunch.cli.browser import open_in_browser
from hublaunch.cli.connection import FOLLOWING_S, Connection
from hublaunch.cli.exits import FAILED, is_terminal, told_faults
from hublaunch.cli.remembered import CannotRemember
from hublaunch.cli.show import Show, chosen
from hublaunch.client import LaunchClientError, LaunchEvent


def follow_to_the_end(
    connection: Connection,
    launch_id: str,
    secrets: Mapping[str, str],
    *,
    is_accepted: bool,
    as_json: bool,
    open_it: bool,
) -> None:
    """Show a launch to its end, and end the command as `exits.py` says.

    Should that fail while the launch goes on, print its id and how to watch it. `is_accepted`: it is known to exist.
    """
    show = chosen(as_json=as_json)
    with told_faults(as_json=as_json):
        try:
            last = asyncio.run(_shown(connection, launch_id, secrets, show, is_accepted=is_accepted))
        except KeyboardInterrupt:
            show.close()
            _ask_what_becomes_of_it(connection, launch_id, secrets)
            raise
        finally:
            show.close()
    if last is None or last.phase != "ready":
        raise typer.Exit(FAILED)
    if open_it:
        _open(launch_id, last.open_url)


async def _shown(
    connection: Connection, launch_id: str, secrets: Mapping[str, str], show: Show, *, is_accepted: bool
) -> LaunchEvent | None:
    """Return the last event, once everything was shown."""
    last = None
    async with connection.client(secrets, patience_s=FOLLOWING_S) as client:
        try:
            async for event in client.follow(launch_id, on_position=show.position):
                last = event
                show.event(event)
        except (LaunchClientError, OSError):
            with suppress(OSError):  # its last words may go where nobody reads
                show.close()
            if is_accepted if last is None else not last.is_last:
                typer.echo(_goes_on(connection, launch_id), err=True)
            raise
    return last


def _ask_what_becomes_of_it(connection: Connection, launch_id: str, secrets: Mapping[str, str]) -> None:
    """At a terminal the user decides; elsewhere, and at a second Ctrl-C, the launch is left alone."""
    goes_on = _goes_on(connection, launch_id)
    try:
        if not (is_terminal(sys.stdin) and is_terminal(sys.stderr) and typer.confirm("Cancel the launch?", err=True)):
            typer.echo(goes_on, err=True)
            return
    except typer.Abort:
        typer.echo(f"\n{goes_on}", err=True)
        return
    cancel_and_tell(connection, launch_id, secrets)


def _goes_on(connection: Connection, launch_id: str) -> str:
    return f"Launch {launch_id} goes on. To watch it: {connection.watch_command(launch_id)}"


def cancel_and_tell(connection: Connection, launch_id: str, secrets: Mapping[str, str]) -> bool:
    """Cancel, and return whether the Hub has confirmed it; both are printed."""

    async def ask() -> bool:
        async with connection.client(secrets, patience_s=FOLLOWING_S) as client:
            return await client.cancel(launch_id)

    typer.echo("Cancelling ...", err=True)
    confirmed = asyncio.run(ask())
    told = "Cancelled." if confirmed else "JupyterHub has not confirmed it yet; the service sees it through."
    typer.echo(told, err=True)
    return confirmed


def _open(launch_id: str, open_url: str | None) -> None:
    if open_url is None:
        typer.echo("Only the caller who began the launch can open it.", err=True)
        return
    try:
        if not open_in_browser(launch_id, open_url):
            typer.echo("There is no browser to open it in.", err=True)
    except OSError as error:
        typer.echo(f"It cannot be opened from here: {error.strerror}.", err=True)
    except CannotRemember as fault:
        typer.echo(f"It cannot be opened from here: {fault}", err=True)
