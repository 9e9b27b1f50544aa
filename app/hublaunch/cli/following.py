"""Follow one launch to its end, and handle Ctrl-C along the way."""

import asyncio
import sys
from collections.abc import Mapping
from contextlib import suppress

import typer

from hublaunch.cli.browser import open_in_browser
from hublaunch.cli.connection import FOLLOWING_S, Connection
from hublaunch.cli.display import Display, chosen
from hublaunch.cli.exits import FAILED, reported_faults
from hublaunch.cli.output import is_terminal
from hublaunch.cli.remembered import CannotRemember
from hublaunch.cli.usual import UsualTime
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
    """Show a launch to its end. Raises a typer.Exit as `exits.py` says.

    If following fails while the launch goes on, print its id and the command to watch it. `is_accepted` says that the
    launch is known to exist.
    """
    display = chosen(as_json=as_json)
    with reported_faults(as_json=as_json):
        try:
            last = asyncio.run(_shown(connection, launch_id, secrets, display, is_accepted=is_accepted))
        except KeyboardInterrupt:
            display.close()
            _offer_to_cancel(connection, launch_id, secrets)
            raise
        finally:
            display.close()
    if last is None or last.phase != "ready":
        raise typer.Exit(FAILED)
    if open_it:
        _open(launch_id, last.open_url)


async def _shown(
    connection: Connection, launch_id: str, secrets: Mapping[str, str], display: Display, *, is_accepted: bool
) -> LaunchEvent | None:
    """Show all events, and return the last one."""
    last = None
    async with connection.client(secrets, patience_s=FOLLOWING_S) as client:
        try:
            async with UsualTime(display) as usual_time:
                async for event in client.follow(launch_id, on_position=display.position):
                    last = event
                    display.event(event)
                    await usual_time.event(event)
        except (LaunchClientError, OSError):
            with suppress(OSError):  # nobody may be reading the output
                display.close()
            if is_accepted if last is None else not last.is_last:
                typer.echo(_goes_on(connection, launch_id), err=True)
            raise
    return last


def _offer_to_cancel(connection: Connection, launch_id: str, secrets: Mapping[str, str]) -> None:
    """Ask at a terminal whether to cancel. Elsewhere, and at a second Ctrl-C, the launch goes on."""
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
    return f"Launch {launch_id} continues. To watch it: {connection.watch_command(launch_id)}"


def cancel_and_tell(connection: Connection, launch_id: str, secrets: Mapping[str, str]) -> bool:
    """Cancel a launch, print the result, and return whether the Hub confirmed it."""

    async def ask() -> bool:
        async with connection.client(secrets, patience_s=FOLLOWING_S) as client:
            return await client.cancel(launch_id)

    typer.echo("Cancelling…", err=True)
    confirmed = asyncio.run(ask())
    message = "Cancelled." if confirmed else "JupyterHub has not confirmed this yet. The service keeps trying."
    typer.echo(message, err=True)
    return confirmed


def _open(launch_id: str, open_url: str | None) -> None:
    if open_url is None:
        typer.echo("Only the caller who started the launch can open it.", err=True)
        return
    try:
        if not open_in_browser(launch_id, open_url):
            typer.echo("No browser was found to open it.", err=True)
    except OSError as error:
        typer.echo(f"The server cannot be opened from here: {error.strerror}.", err=True)
    except CannotRemember as fault:
        typer.echo(f"The server cannot be opened from here: {fault}", err=True)
