"""`hublaunch catalogue`: what the caller may launch."""

import asyncio
import json
from collections.abc import Generator
from typing import TYPE_CHECKING

import typer

from hublaunch.cli.connection import Connection, TokenFile, Url
from hublaunch.cli.exits import reported_faults
from hublaunch.cli.launches import AsJson
from hublaunch.cli.output import aligned, printable

if TYPE_CHECKING:
    from hublaunch.client import Catalogue


def catalogue(url: Url = None, token_file: TokenFile = None, *, as_json: AsJson = False) -> None:
    """List the environments that you may launch by name, with their sizes, and the patterns of other images.

    The first size of an environment is the default. Needs a running service (--url), and a token unless the service
    accepts anonymous callers. For example:

        hublaunch catalogue
        hublaunch launch scipy --size small
    """
    connection = Connection.of(url, token_file)

    async def ask() -> "Catalogue":
        async with connection.client({}) as client:
            return await client.catalogue()

    with reported_faults(as_json=as_json):
        offered = asyncio.run(ask())
        if as_json:
            typer.echo(json.dumps(offered.shown))
            return
        if offered.environments:
            for row in _table(offered):
                typer.echo(row)
        else:
            typer.echo(f"No environments at {connection.url}.", err=True)
        if offered.images:
            typer.echo(f"Images: {printable(', '.join(offered.images))}")


def _table(offered: "Catalogue") -> Generator[str]:
    rows = [
        (
            each.name,
            ", ".join(size.name for size in each.sizes) or "-",
            f"{each.title}: {each.description}".rstrip(": "),
        )
        for each in offered.environments
    ]
    return aligned([("NAME", "SIZES", "TITLE"), *(tuple(map(printable, row)) for row in rows)])
