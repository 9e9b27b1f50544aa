"""`hublaunch top`: the queue, the launches at the Hub, ready servers, the guard and the processes, live."""

import json
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from hublaunch.cli.audited import reported_faults
from hublaunch.cli.connection import Connection, Url
from hublaunch.cli.exits import FAILED
from hublaunch.cli.output import is_terminal, printable

if TYPE_CHECKING:
    from hublaunch.cli.top.reading import TopSource

_INTERVAL_S = 2.0

Interval = Annotated[
    float | None,
    typer.Option(min=0.2, max=3600, metavar="SECONDS", help="Seconds between two readings; 2 on a terminal."),
]


def top(
    url: Url = None,
    interval: Interval = None,
    *,
    once: Annotated[bool, typer.Option("--once", help="Print a plain table once and exit.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per reading, each on a line.")] = False,
) -> None:
    """Show the queue, the launches at JupyterHub, ready servers, the guard and the processes, live.

    It reads the database, so run it where the service gets its settings (LAUNCHER_…, .env). It asks the service at
    `--url` for JupyterHub's latency. Without an answer, the rest is still shown.

    On a terminal, `?` lists the keys: you can sort, filter, and cancel a launch. In a pipe it prints plain tables, once
    or every `--interval`.

    Needs `pip install 'hublaunch[server]'`. For example:

        hublaunch top --interval 1
    """
    with reported_faults():
        from hublaunch.cli.top.reading import TopSource  # noqa: PLC0415 - needs the server extra
        from hublaunch.settings import load_settings  # noqa: PLC0415 - as above

        source = TopSource(load_settings(), Connection.of(url, None).url)
        if once or as_json or not (is_terminal(sys.stdin) and is_terminal(sys.stdout)):
            _print(source, as_json_lines=as_json, interval_s=None if once else interval)
        else:
            from hublaunch.cli.top.live import run  # noqa: PLC0415 - only terminals need rich

            run(source, interval or _INTERVAL_S)


def _print(source: "TopSource", *, as_json_lines: bool, interval_s: float | None) -> None:
    """Print a reading, and another one every `interval_s`.

    Exits with a failure if it prints only one reading, and the database cannot be read.
    """
    from hublaunch.cli.top.reading import Seen  # noqa: PLC0415 - needs the server extra
    from hublaunch.cli.top.words import as_json, plain  # noqa: PLC0415 - as above

    seen = Seen()
    while True:
        seen = source.read(seen)
        typer.echo(json.dumps(as_json(seen, source)) if as_json_lines else "\n".join(plain(seen, source)))
        if interval_s is None:
            break
        if not as_json_lines:
            typer.echo()
        time.sleep(interval_s)
    if seen.fault:
        typer.echo(printable(seen.fault), err=True)
        raise typer.Exit(FAILED)
