"""`hublaunch doctor`: find out what is wrong and what to do about it."""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hublaunch.cli.connection import Connection, TokenFile, Url
from hublaunch.cli.exits import FAILED, USAGE
from hublaunch.cli.output import printable

if TYPE_CHECKING:
    from hublaunch.doctor import Finding

_COLOURS = {"ok": "green", "warning": "yellow", "fault": "red", "unknown": "blue"}


def doctor(
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per line, one for each check.")
    ] = False,
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port on which the service listens on this machine.")
    ] = 8083,
    z2jh_values: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Values of z2jh, as `helm get values` prints them: check that the sizes of the catalogue fit "
            "z2jh's profiles.",
        ),
    ] = None,
    launch: Annotated[
        str, typer.Option(metavar="IMAGE", help="Also launch this image, run 1+1 in a kernel, and stop the server.")
    ] = "",
    environment: Annotated[
        str, typer.Option(metavar="NAME", help="As --launch, for an environment of the catalogue.")
    ] = "",
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """Check the settings, the catalogue, the Hub, its clock, the token and its scopes, the database, and proxies.

    Each finding says what to do. Run it where the service gets its settings (LAUNCHER_…, .env); the service may be
    running or not. It launches nothing and changes nothing, unless you ask for a launch: then it launches through the
    service at `--url`, as a caller does. Exits with 1 if it finds a fault.

    Needs `pip install 'hublaunch[server]'`. For example:

        hublaunch doctor --launch quay.io/jupyter/minimal-notebook:latest --url https://hub.example.org/services/hublaunch/
    """
    if launch and environment:
        typer.echo("Use --launch or --environment, not both.", err=True)
        raise typer.Exit(USAGE)
    from hublaunch.doctor import examine  # noqa: PLC0415 - needs the server extra
    from hublaunch.doctor.trial import examine_launch  # noqa: PLC0415 - as above
    from hublaunch.settings import SettingsFault, load_settings  # noqa: PLC0415

    caller = Connection.of(url, token_file) if launch or environment else None
    try:
        settings = load_settings()
    except SettingsFault as fault:
        examinations = [_of_settings(fault.sentences)]
    else:
        examinations = [examine(settings, port=port, z2jh_values=z2jh_values)]
        if caller:
            examinations.append(examine_launch(caller.client({}), image=launch, environment=environment))
    if asyncio.run(_faults(examinations, as_json=as_json)):
        raise typer.Exit(FAILED)


async def _of_settings(sentences: Sequence[str]) -> AsyncGenerator["Finding"]:
    from hublaunch.doctor import Finding  # noqa: PLC0415 - needs the server extra

    for sentence in sentences:
        yield Finding(check="settings", state="fault", message=sentence, advice="See .env.example.")


async def _faults(examinations: Sequence[AsyncGenerator["Finding"]], *, as_json: bool) -> int:
    """Print the findings of one examination after the other. Return the number of faults."""
    faults = 0
    for examination in examinations:
        async for finding in examination:
            _tell(finding, as_json=as_json)
            faults += finding.state == "fault"
    return faults


def _tell(finding: "Finding", *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(finding)))
        return
    state = typer.style(f"{finding.state:<8}", fg=_COLOURS[finding.state], bold=True)
    typer.echo(f"{state} {finding.check}: {printable(finding.message)}")
    if finding.advice:
        typer.echo(f"{'':<8} → {printable(finding.advice)}")
