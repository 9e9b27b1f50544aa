"""`hublaunch pool`: show, drain and fill the warm pools."""

import json
from typing import Annotated

import typer

from hublaunch.cli.audited import audited, reported_faults
from hublaunch.cli.output import aligned, printable

pool = typer.Typer(
    name="pool",
    help=(
        "Show, drain and fill the warm pools: servers that are ready before anybody asks for them.\n\nThe commands use "
        "the database, so run them where the service gets its settings (LAUNCHER_…, .env). They need `pip install "
        "'hublaunch[server]'`."
    ),
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

_Name = Annotated[
    str, typer.Argument(metavar="POOL", help="The name in `hublaunch pool list`, such as scipy or scipy/small.")
]


@pool.command("list")
def list_pools(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False,
) -> None:
    """List the warm pools: the servers that are wanted, ready, starting and retiring, and why the refill waits.

    HITS are the launches of the last hour that took a warm server, and MISSES those that got none, by reason.
    LOST are servers that JupyterHub or a culler stopped. WASTED are the ready seconds of servers that were stopped
    unused. For example:

        hublaunch pool list --json
    """
    from hublaunch.doctor.pools import HEADINGS, pool_rows, pools_json, read_pools  # noqa: PLC0415 - needs the server

    with reported_faults():
        views = read_pools()
    if as_json:
        typer.echo(json.dumps(pools_json(views)))
    elif views:
        rows = [tuple(map(printable, row)) for row in pool_rows(views)]
        typer.echo("\n".join(aligned([HEADINGS, *rows])))
    else:
        typer.echo("There is no warm pool: no environment of the catalogue has the block `warm`.")


@pool.command("drain")
def drain_pool(name: _Name) -> None:
    """Stop all servers of a pool that nobody has taken, and start no others until `hublaunch pool fill`.

    Launches then start their own servers. The running service stops the pool's servers within seconds. To drain a pool
    for good, set `keep: 0` in the catalogue. For example:

        hublaunch pool drain scipy
    """
    from hublaunch.doctor.pools import drain_pool as drain  # noqa: PLC0415 - needs the server

    with reported_faults(), audited() as audit:
        retired = drain(name)
        audit("pool_drained", pool=name, retired=retired)
    typer.echo(f"{printable(name)} is drained. Servers that are being stopped: {retired}.")


@pool.command("fill")
def fill_pool(name: _Name) -> None:
    """Fill a pool again after `hublaunch pool drain`, or at once after starts have failed.

    The running service starts the missing servers within seconds. For example:

        hublaunch pool fill scipy
    """
    from hublaunch.doctor.pools import fill_pool as fill  # noqa: PLC0415 - needs the server

    with reported_faults(), audited() as audit:
        fill(name)
        audit("pool_filled", pool=name)
    typer.echo(f"{printable(name)} is being filled.")
