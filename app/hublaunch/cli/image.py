"""`hublaunch image`: ask a registry whether an image exists."""

import asyncio
import json
from dataclasses import asdict
from typing import Annotated

import typer

from hublaunch.cli.audited import reported_faults
from hublaunch.cli.exits import FAILED
from hublaunch.cli.output import printable

image = typer.Typer(name="image", help="Ask a registry about an image.", no_args_is_help=True)


@image.callback()
def _of_images() -> None:
    """Ask a registry about an image."""


@image.command("check")
def check(
    reference: Annotated[str, typer.Argument(metavar="IMAGE", help="The image: [registry/]repository[:tag][@digest].")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Ask an image's registry whether the image exists, as the service does before each launch.

    Run it where the service gets its settings (LAUNCHER_…, .env), and its credentials for registries. It launches
    nothing, and pulls nothing. Exits with 1 unless the registry has the image.

    Needs `pip install 'hublaunch[server]'`. For example:

        hublaunch image check quay.io/jupyter/base-notebook:latest
    """
    with reported_faults():
        from hublaunch.doctor.image import check_image  # noqa: PLC0415 - needs the server extra
        from hublaunch.settings import load_settings  # noqa: PLC0415 - as above

        settings = load_settings()
        report = asyncio.run(check_image(settings, reference))
    if as_json:
        typer.echo(json.dumps(asdict(report)))
    else:
        typer.echo(f"{report.outcome:<9} {printable(report.image)}")
        typer.echo(f"{'':<9} {printable(report.message)}")
        if report.digest is not None:
            typer.echo(f"{'digest':<9} {report.digest}")
        goes = "launches it" if report.is_launched else "refuses it"
        typer.echo(f"{'':<9} LAUNCHER_PREFLIGHT={settings.preflight} {goes}.")
    if report.outcome != "found":
        raise typer.Exit(FAILED)
