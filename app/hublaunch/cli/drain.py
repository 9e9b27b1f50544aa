"""`hublaunch drain`: refuse new launches, and stop everything that hublaunch started."""

import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Annotated

import typer

from hublaunch.cli.audited import audited, reported_faults
from hublaunch.cli.exits import FAILED, USAGE

if TYPE_CHECKING:
    from hublaunch.settings import Settings
    from hublaunch.store.drain import Left

_EVERY_S = 1.0
_ALONE_S = 20.0
"""The longest time for which a rollout or a restart leaves the database without a process."""


def drain(
    *,
    stops_servers: Annotated[
        bool, typer.Option("--all", help="Also cancel every launch, and stop every server that hublaunch started.")
    ] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Accept new launches again, and admit the queue.")] = False,
) -> None:
    """Refuse new launches and hold the queue, on all replicas, until `--undo`. Returns once no server is starting.

    Ready servers keep running, except those of warm pools that nobody has taken. With `--all`, all servers are
    stopped, and everything that hublaunch created at JupyterHub is deleted: use it before you uninstall. Files of
    temporary users are lost then.

    Run it where the service gets its settings (LAUNCHER_…, .env), while the service runs: the service does the work.
    If you interrupt the command, new launches stay refused, and the next call continues. Exits with 0 when nothing is
    left, and with 1 if no process of hublaunch runs or somebody runs `--undo` meanwhile. Needs
    `pip install 'hublaunch[server]'`. For example:

        hublaunch drain --all
    """
    if stops_servers and undo:
        typer.echo("--undo stops no servers. Use --all or --undo.", err=True)
        raise typer.Exit(USAGE)
    with reported_faults():
        from hublaunch.settings import load_settings  # noqa: PLC0415 - needs the server extra

        settings = load_settings()
        if undo:
            _accept_again(settings)
        else:
            _drain(settings, stops_servers=stops_servers)


def _accept_again(settings: "Settings") -> None:
    from hublaunch.store import drain as stored  # noqa: PLC0415 - needs the server extra
    from hublaunch.store.database import transaction_beside_service  # noqa: PLC0415 - as above

    with audited() as audit:
        with transaction_beside_service(settings.database_url, writes=True) as connection:
            changed = stored.end(connection)
        if changed:
            audit("drain_ended")
    typer.echo("New launches are accepted again." if changed else "New launches were not refused.")


def _drain(settings: "Settings", *, stops_servers: bool) -> None:
    from hublaunch.store import drain as stored  # noqa: PLC0415 - needs the server extra
    from hublaunch.store.database import transaction_beside_service  # noqa: PLC0415 - as above

    with audited() as audit:
        with transaction_beside_service(settings.database_url, writes=True) as connection:
            stored.start(connection)
        audit("drain_started", stops_servers=stops_servers)
    typer.echo("New launches are refused, and the queue is held, until `hublaunch drain --undo`.")
    said, seen_at = "", time.monotonic()
    for left in _rounds(settings, stops_servers=stops_servers):
        if left.draining_since is None:
            typer.echo(
                "Somebody has ended the drain with `hublaunch drain --undo`. New launches are accepted, and this "
                "command stops nothing more.",
                err=True,
            )
            raise typer.Exit(FAILED)
        if (line := _line(left, stops_servers=stops_servers)) != said:
            typer.echo(line)
            said = line
        if left.processes:
            seen_at = time.monotonic()
        if not _count(left, stops_servers=stops_servers):
            typer.echo(_done(stops_servers=stops_servers))
            return
        if time.monotonic() - seen_at > _ALONE_S:
            typer.echo(
                "No process of hublaunch runs on this database, so nothing more is stopped. Start the service, and run "
                "this command again.",
                err=True,
            )
            raise typer.Exit(FAILED)


def _rounds(settings: "Settings", *, stops_servers: bool) -> Generator["Left"]:
    """Stop as many servers at a time as may start, and yield the counts of what remains, once a second."""
    from hublaunch.store import drain as stored  # noqa: PLC0415 - needs the server extra
    from hublaunch.store.database import transaction_beside_service  # noqa: PLC0415 - as above

    while True:
        with transaction_beside_service(settings.database_url, writes=stops_servers) as connection:
            if stops_servers:
                stored.stop_active(connection, most=settings.max_concurrent_spawns)
            left = stored.left(connection)
        yield left
        time.sleep(_EVERY_S)


def _count(left: "Left", *, stops_servers: bool) -> int:
    return left.waiting + left.launching + left.ready + left.to_clean_up if stops_servers else left.launching


def _line(left: "Left", *, stops_servers: bool) -> str:
    clean_ups = f", {left.to_clean_up} to clean up" if stops_servers else ""
    return f"Left: {left.waiting} in the queue, {left.launching} starting, {left.ready} ready{clean_ups}"


def _done(*, stops_servers: bool) -> str:
    if stops_servers:
        return "Nothing that hublaunch started is left at JupyterHub."
    return "No server is starting. The queue waits, and ready servers keep running."
