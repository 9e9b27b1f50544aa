"""`hublaunch show`: everything about one launch, from the database."""

import json
from typing import Annotated

import typer

from hublaunch.cli.audited import reported_faults
from hublaunch.cli.exits import FAILED
from hublaunch.cli.output import aligned, printable


def show(
    launch_id: Annotated[str, typer.Argument(metavar="ID", help="The id of the launch.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show everything about one launch: its request, caller, attempts, events and cause, and what is still to be done.

    It reads the database, so run it where the service gets its settings (LAUNCHER_…, .env). The service need not be
    running. Tokens and the values of extra arguments are not shown, so you can forward the output. But it names the
    caller and the repository.

    Needs `pip install 'hublaunch[server]'`. For example:

        hublaunch show 01JDB9Z3N8Q4V7R2M5X6C1T0YK
    """
    with reported_faults():
        from hublaunch.doctor.record import read_record, record_json, record_rows  # noqa: PLC0415 - needs the server
        from hublaunch.settings import load_settings  # noqa: PLC0415 - as above

        settings = load_settings()
        record = read_record(settings, launch_id)
    if record is None:
        typer.echo(
            f"The database has no launch with the id {printable(launch_id)}. Check the id. Launches expire after "
            "LAUNCHER_RETENTION.",
            err=True,
        )
        raise typer.Exit(FAILED)
    if as_json:
        typer.echo(json.dumps(record_json(record, settings)))
    else:
        rows = [(heading, printable(text)) for heading, text in record_rows(record, settings)]
        typer.echo("\n".join(aligned(rows)))
