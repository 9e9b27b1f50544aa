"""`hublaunch doctor`: find out what is wrong and what to do about it."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hublaunch.cli.exits import FAILED
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
) -> None:
    """Check the settings, the catalogue, the Hub, its clock, the token and its scopes, the database, and proxies.

    Each finding says what to do. Run it where the service gets its settings (LAUNCHER_…, .env); the service may be
    running or not. It launches nothing and changes nothing. Exits with 1 if it finds a fault.

    Needs `pip install 'hublaunch[server]'`. For example:

        hublaunch doctor --json
    """
    from hublaunch.doctor import Finding, examine  # noqa: PLC0415 - needs the server extra
    from hublaunch.settings import SettingsFault, load_settings  # noqa: PLC0415

    async def findings() -> Sequence[Finding]:
        found = []
        async for finding in examine(settings, port=port, z2jh_values=z2jh_values):
            _tell(finding, as_json=as_json)
            found.append(finding)
        return found

    try:
        settings = load_settings()
    except SettingsFault as fault:
        found: Sequence[Finding] = [
            Finding(check="settings", state="fault", message=sentence, advice="See .env.example.")
            for sentence in fault.sentences
        ]
        for finding in found:
            _tell(finding, as_json=as_json)
    else:
        found = asyncio.run(findings())
    if any(finding.state == "fault" for finding in found):
        raise typer.Exit(FAILED)


def _tell(finding: "Finding", *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(finding)))
        return
    state = typer.style(f"{finding.state:<8}", fg=_COLOURS[finding.state], bold=True)
    typer.echo(f"{state} {finding.check}: {printable(finding.message)}")
    if finding.advice:
        typer.echo(f"{'':<8} → {printable(finding.advice)}")
